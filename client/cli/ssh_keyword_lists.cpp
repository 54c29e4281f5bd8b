#include "client/cli/ssh_keyword_lists.hpp"

#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"

namespace frsh {
namespace {

// Accepted and ignored: parameters of ssh's own protocol, of what it shares or shows, of other ways
// to log in than by a key, and keywords that ssh itself ignores. Taken from OpenSSH 9.2 (Debian's)
// and 10.
constexpr std::string_view kWithoutEffect =
    " addkeystoagent afstokenpassing canonicaldomains canonicalizefallbacklocal"
    " canonicalizemaxdots canonicalizepermittedcnames casignaturealgorithms"
    " challengeresponseauthentication channeltimeout checkhostip cipher ciphers compression"
    " compressionlevel dsaauthentication enableescapecommandline"
    " enablesshkeysign fallbacktorsh fingerprinthash forwardx11timeout"
    " globalknownhostsfile2 gssapiauthentication gssapiclientidentity"
    " gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity"
    " gssapitrustdns hashknownhosts hostbasedacceptedalgorithms hostbasedauthentication"
    " hostbasedkeytypes hostkeyalgorithms ipqos kbdinteractiveauthentication"
    " kbdinteractivedevices keepalive kerberosauthentication kerberostgtpassing kexalgorithms"
    " logverbose macs nohostauthenticationforlocalhost numberofpasswordprompts"
    " obscurekeystroketiming passwordauthentication permitremoteopen preferredauthentications"
    " protocol pubkeyacceptedalgorithms pubkeyacceptedkeytypes rekeylimit requiredrsasize"
    " rhostsauthentication rhostsrsaauthentication rsaauthentication securitykeyprovider"
    " skeyauthentication syslogfacility tag"
    " tcpkeepalive tisauthentication tunneldevice updatehostkeys useblacklistedkeys"
    " useprivilegedport userknownhostsfile2 useroaming usersh verifyhostkeydns versionaddendum"
    " visualhostkey warnweakcrypto xauthlocation ";

// Refused unless switched off: the user relies on their effect.
constexpr std::string_view kOnlyOff =
    " bindinterface canonicalizehostname forwardx11"
    " forwardx11trusted gssapidelegatecredentials pkcs11provider proxyusefdpass"
    " revokedhostkeys smartcarddevice tunnel ";

// Each name in `names` stands between two blanks.
bool is_listed(std::string_view names, std::string_view name) {
    const std::string word = std::string(" ").append(name).append(" ");
    return names.find(word) != std::string_view::npos;
}

// The keywords that a message may name: their effect would change what the user gets.
constexpr const char* kSpellings[] = {
    "BindInterface",
    "CanonicalizeHostname",
    "ControlMaster",
    "DynamicForward",
    "ForkAfterAuthentication",
    "ForwardAgent",
    "ForwardX11",
    "ForwardX11Trusted",
    "GSSAPIDelegateCredentials",
    "KnownHostsCommand",
    "LocalForward",
    "PKCS11Provider",
    "ProxyUseFdpass",
    "PubkeyAuthentication",
    "RemoteCommand",
    "RemoteForward",
    "RequestTTY",
    "RevokedHostKeys",
    "SessionType",
    "SmartcardDevice",
    "StdinNull",
    "Tunnel",
};

}  // namespace

bool is_without_effect(std::string_view keyword) {
    return is_listed(kWithoutEffect, keyword);
}

bool is_only_off(std::string_view keyword) {
    return is_listed(kOnlyOff, keyword);
}

std::string spelling_of(std::string_view keyword) {
    for (const char* const spelling : kSpellings) {
        if (to_lower(spelling) == keyword) return spelling;
    }
    return escape_controls(keyword);
}

}  // namespace frsh
