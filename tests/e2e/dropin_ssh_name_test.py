"""Called ssh, frsh answers as ssh does: version, usage, keywords, variables, exit codes."""

import os
import pwd
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from dropin import ToolCase, need  # noqa: E402
from harness import main, wait_until  # noqa: E402

# The keywords of OpenSSH 9.2 as Debian builds it, also those that it has given up.
KEYWORDS_9 = """
    addkeystoagent addressfamily afstokenpassing batchmode bindaddress bindinterface canonicaldomains
    canonicalizefallbacklocal canonicalizehostname canonicalizemaxdots canonicalizepermittedcnames
    casignaturealgorithms certificatefile challengeresponseauthentication checkhostip cipher ciphers
    clearallforwardings compression compressionlevel connectionattempts connecttimeout controlmaster
    controlpath controlpersist dsaauthentication dynamicforward enableescapecommandline
    enablesshkeysign escapechar exitonforwardfailure fallbacktorsh fingerprinthash
    forkafterauthentication forwardagent forwardx11 forwardx11timeout forwardx11trusted gatewayports
    globalknownhostsfile globalknownhostsfile2 gssapiauthentication gssapiclientidentity
    gssapidelegatecredentials gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey
    gssapiserveridentity gssapitrustdns hashknownhosts hostbasedacceptedalgorithms
    hostbasedauthentication hostbasedkeytypes hostkeyalgorithms hostkeyalias hostname identitiesonly
    identityagent identityfile identityfile2 ignoreunknown ipqos kbdinteractiveauthentication
    kbdinteractivedevices keepalive kerberosauthentication kerberostgtpassing kexalgorithms
    knownhostscommand localcommand localforward loglevel logverbose macs
    nohostauthenticationforlocalhost numberofpasswordprompts passwordauthentication
    permitlocalcommand permitremoteopen pkcs11provider port preferredauthentications protocol
    protocolkeepalives proxycommand proxyjump proxyusefdpass pubkeyacceptedalgorithms
    pubkeyacceptedkeytypes pubkeyauthentication rekeylimit remotecommand remoteforward requesttty
    requiredrsasize revokedhostkeys rhostsauthentication rhostsrsaauthentication rsaauthentication
    securitykeyprovider sendenv serveralivecountmax serveraliveinterval sessiontype setenv
    setuptimeout skeyauthentication smartcarddevice stdinnull streamlocalbindmask
    streamlocalbindunlink stricthostkeychecking syslogfacility tcpkeepalive tisauthentication tunnel
    tunneldevice updatehostkeys useblacklistedkeys useprivilegedport user userknownhostsfile
    userknownhostsfile2 useroaming usersh verifyhostkeydns visualhostkey xauthlocation
""".split()
# What OpenSSH 9.3 to 10 added.
KEYWORDS_10 = """
    channeltimeout obscurekeystroketiming refuseconnection tag versionaddendum warnweakcrypto
""".split()
UNKNOWN = "Bad configuration option"


class CalledSsh(ToolCase):
    def test_the_version_names_openssh_and_frsh(self):
        result = self.run_tool("ssh", "-V")
        self.assertEqual((result.code, result.out), (0, ""))
        self.assertRegex(result.err, r"^OpenSSH_\d+\.\d+ compatible, frsh \d+\.\d+\.\d+\n$")
        self.assertRegex(self.run_tool("frsh", "-V").err, r"^frsh \d+\.\d+\.\d+\n$")

    def test_the_usage_is_printed_where_ssh_prints_it(self):
        for words in ((), ("-Z", "h"), ("--no-such", "h")):
            result = self.run_tool("ssh", *words)
            self.assertEqual((result.code, result.out), (255, ""), words)
            self.assertIn("\nusage: ssh ", result.err)
            self.assertNotIn("Usage:", result.err)
        self.assertNotIn("usage:", self.run_tool("frsh", "-Z", "h").err)

    def test_every_keyword_of_openssh_9_and_10_is_known(self):
        for keyword in KEYWORDS_9 + KEYWORDS_10:
            result = self.run_tool("ssh", "-G", f"-o{keyword}=no", "h")
            self.assertNotIn(UNKNOWN, result.err, keyword)
        for line in ("DSAAuthentication=yes", "RSAAuthentication=yes", "UseRoaming=no", "ChannelTimeout=session=5m",
                     "ObscureKeystrokeTiming=interval:80", "Tag=x", "WarnWeakCrypto=no", "EnableEscapeCommandline=yes",
                     "Host2=x"):
            result = self.run_tool("ssh", "-G", "-o", line, "h")
            self.assertEqual(result.code, 255 if line == "Host2=x" else 0, (line, result))
        self.assertIn("for maintenance", self.run_tool("ssh", "-oRefuseConnection=for maintenance", "h").err)

    def test_what_the_installed_ssh_accepts_is_accepted(self):
        need("/usr/bin/ssh")
        env = {"PATH": "/usr/bin:/bin", "HOME": self.work}
        shown = subprocess.run(["/usr/bin/ssh", "-G", "-F", "none", "h"], capture_output=True, text=True, env=env)
        self.assertEqual(shown.returncode, 0, shown)
        keywords = {line.split()[0] for line in shown.stdout.splitlines()} - {"host"}
        self.assertGreater(len(keywords), 60)
        for keyword in sorted(keywords):
            self.assertNotIn(UNKNOWN, self.run_tool("ssh", "-G", f"-o{keyword}=no", "h").err, keyword)
        # The list above is ssh's own, as far as this version goes.
        for keyword in ("useroaming", "dsaauthentication", "protocolkeepalives"):
            theirs = subprocess.run(["/usr/bin/ssh", "-G", "-F", "none", f"-o{keyword}=9", "h"],
                                    capture_output=True, text=True, env=env)
            self.assertNotIn(UNKNOWN, theirs.stderr, keyword)

    def test_git_protocol_is_sent_only_if_SendEnv_names_it(self):
        env = {"GIT_PROTOCOL": "version=2"}
        base = ["ssh", "-p", self.port]
        script = "echo ${GIT_PROTOCOL-unset}"
        self.assertEqual(self.good(*base, "127.0.0.1", script, env=env).out, "unset\n")
        result = self.good(*base, "-oSendEnv=GIT_PROTOCOL", "127.0.0.1", script, env=env)
        self.assertEqual(result.out, "version=2\n")

    def test_a_closed_stdout_leaves_the_status_of_the_command(self):
        for name, expected in (("ssh", 3), ("frsh", 255)):
            script = f"{name} -p {self.port} 127.0.0.1 'echo x; exit 3' >&-"
            self.assertEqual(self.run_tool("sh", "-c", script).code, expected, name)
        # The reader goes away: the command goes on to its own end.
        script = f"""(ssh -p {self.port} 127.0.0.1 'trap "" PIPE; echo a; sleep 0.5; echo b; exit 0' 2>/dev/null
                      echo $? >{self.path('status')}) | true"""
        self.run_tool("sh", "-c", script)
        self.assertEqual(wait_until(lambda: os.path.exists(self.path("status")) and self.read("status"), "a status"),
                         b"0\n")

    def test_a_local_command_runs_after_the_login_and_before_the_output(self):
        base = ["ssh", "-p", self.port, "-oLocalCommand=echo local %h %p"]
        self.assertEqual(self.good(*base, "127.0.0.1", "echo remote").out, "remote\n")
        result = self.good(*base, "-oPermitLocalCommand=yes", "127.0.0.1", "echo remote")
        self.assertEqual(result.out, f"local 127.0.0.1 {self.port}\nremote\n")
        # Its failure changes nothing; without a login it does not run.
        result = self.good("ssh", "-p", self.port, "-oPermitLocalCommand=yes", "-oLocalCommand=exit 7",
                           "127.0.0.1", "echo remote")
        self.assertEqual(result.out, "remote\n")
        result = self.run_tool("ssh", "-p", "1", "-oPermitLocalCommand=yes", "-oLocalCommand=echo local",
                               "127.0.0.1", "true")
        self.assertEqual((result.code, result.out), (255, ""), result)
        result = self.run_tool("ssh", "-oPermitLocalCommand=yes", "-oLocalCommand=echo %Q", "127.0.0.1", "true")
        self.assertIn("LocalCommand", result.err)

    def test_x5_the_forms_of_brz_and_gvfs_reach_the_sftp_server(self):
        """Both look for the word OpenSSH in `ssh -V` first."""
        need("/usr/lib/openssh/sftp-server")
        user = pwd.getpwuid(os.geteuid()).pw_name
        brz = ["-oForwardX11=no", "-oForwardAgent=no", "-oClearAllForwardings=yes",
               "-oNoHostAuthenticationForLocalhost=yes", "-p", self.port, "-l", user]
        gvfs = ["-oForwardX11=no", "-oForwardAgent=no", "-oPermitLocalCommand=no",
                "-oClearAllForwardings=yes", "-oProtocol=2", "-oNoHostAuthenticationForLocalhost=yes",
                "-oPort=" + self.port, "-oControlMaster=auto", f"-oControlPath={self.path('s')}-%r@%h:%p",
                "-l", user]
        for words in ([*brz, "-s", "--", "127.0.0.1", "sftp"], [*gvfs, "-s", "127.0.0.1", "sftp"]):
            init = struct.pack(">IBI", 5, 1, 3)  # SSH_FXP_INIT, version 3.
            with subprocess.Popen([self.ssh, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  env=self.env) as process:
                process.stdin.write(init)
                process.stdin.flush()
                self.assertEqual(b"\2\0\0\0\3", process.stdout.read(9)[4:], words)
                process.stdin.close()
                self.assertEqual(0, process.wait(60))
        self.run_tool("ssh", "-O", "exit", *gvfs, "127.0.0.1")
        result = self.good("ssh", *brz, "--", "127.0.0.1", "bzr", "--version; echo served")
        self.assertIn("served", result.out)

    def test_an_unsafe_name_reaches_no_shell(self):
        """A shell gets names from `Match exec` (ssh -G), ProxyCommand and LocalCommand."""
        os.makedirs(self.path(".ssh"))
        self.write(".ssh/config", f'Match exec "touch {self.path("hit")}-%n-%r"\n  User x\nHost *\n  HostName h.invalid\n')
        env = {"HOME": self.work}
        for words in (["$(touch hit)"], ["a`touch hit`"], ["-l", "a;touch hit", "h"], ["x\ny@h"], ["-l", "a\n$[+]", "h"],
                      ["ssh://a%00b@h"], ["ssh://-oProxyCommand=touch%20hit/"], ["-l", "$IFS-oX", "h"],
                      ["-oHostName=$(touch hit)", "h"], ["-oHostKeyAlias=`touch hit`", "h"], ["-oUser=a|b", "h"],
                      ["-oProxyCommand=echo %n %k", "-oHostName=ok", "$(touch hit)"], ["--", "-oProxyCommand=x"]):
            result = self.run_tool("ssh", *words, "true", env=env)
            self.assertEqual((result.code, result.out), (255, ""), (words, result))
            self.assertRegex(result.err, "no (host|user) has such a name|no host begins with|is not ssh://")
        # The command itself may run, with names that are safe.
        self.assertLessEqual(set(os.listdir(self.work)), {".ssh", "hit-h-" + pwd.getpwuid(os.geteuid()).pw_name})

    def test_a_literal_address_keeps_its_percent(self):
        for words, host in ((["fe80::1%eth0"], "fe80::1%eth0"), (["-oHostName=fe80::1%lo", "x"], "fe80::1%lo"),
                            (["[fe80::1%eth0]:77"], "fe80::1%eth0"), (["-oHostName=%h.example", "x"], "x.example"),
                            (["a%h"], "a%h")):
            result = self.run_tool("ssh", "-G", *words)
            self.assertEqual(result.code, 0, (words, result))
            self.assertIn(f"\nhostname {host}\n", result.out)
        result = self.run_tool("ssh", "fe80::1%no-such-link", "true")
        self.assertEqual(result.code, 255, result)
        self.assertNotIn("token", result.err)


if __name__ == "__main__":
    main()
