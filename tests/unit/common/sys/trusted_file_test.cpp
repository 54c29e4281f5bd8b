#include "common/sys/trusted_file.hpp"

#include "tests/support/ssh_tools.hpp"

#include <cstddef>
#include <filesystem>
#include <string>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using frsh::TrustedFile;
using Kind = TrustedFile::Kind;

namespace {

// A home with ~/.ssh/authorized_keys, as a tidy user has it.
struct Home : frsh::test::TempFolder {
    Home() {
        std::filesystem::create_directories(*this / "home/.ssh");
        write("home/.ssh/authorized_keys", "content");
        for (const char* name : {"home", "home/.ssh"})
            set_mode(name, 0700);
        set_mode("home/.ssh/authorized_keys", 0600);
    }
    void set_mode(const char* name, mode_t mode) const {
        REQUIRE(::chmod((*this / name).c_str(), mode) == 0);
    }
    [[nodiscard]] TrustedFile read_trusted(const char* name = "home/.ssh/authorized_keys",
                                           std::size_t limit = 1000) const {
        return frsh::read_trusted_file(*this / name, *this / "home", ::geteuid(), limit);
    }
};

}  // namespace

TEST_CASE("trusted file: a private one is read, a missing one absent") {
    const Home home;
    CHECK(home.read_trusted().kind == Kind::Read);
    CHECK(home.read_trusted().content == "content");
    CHECK(home.read_trusted("home/.ssh/other").kind == Kind::Missing);
    CHECK(home.read_trusted("home/none/other").kind == Kind::Missing);
    CHECK(home.read_trusted("home/.ssh/authorized_keys", 7).kind == Kind::Read);
    CHECK(home.read_trusted("home/.ssh/authorized_keys", 6).kind == Kind::Refused);
}

TEST_CASE("trusted file: any part that others can write is refused") {
    for (const char* name : {"home/.ssh/authorized_keys", "home/.ssh", "home"}) {
        for (const mode_t loose : {0020U, 0002U}) {
            const Home home;
            home.set_mode(name, 0755);
            CHECK(home.read_trusted().kind == Kind::Read);
            home.set_mode(name, 0755 | loose);
            const TrustedFile refused = home.read_trusted();
            CHECK(refused.kind == Kind::Refused);
            CHECK(refused.why == (home / name) + ": others can write it");
        }
    }
    // Folders above the home are not checked, as in ssh: they belong to the administrator.
    const Home home;
    REQUIRE(::chmod(home.path().c_str(), 0777) == 0);
    CHECK(home.read_trusted().kind == Kind::Read);
}

TEST_CASE("trusted file: root reads its own file, not another user's") {
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root can give files away");
        return;
    }
    for (const char* name : {"home/.ssh/authorized_keys", "home/.ssh", "home"}) {
        const Home home;
        REQUIRE(::chown((home / name).c_str(), 12345, 12345) == 0);
        const auto read_as = [&](uid_t user) {
            return frsh::read_trusted_file(home / "home/.ssh/authorized_keys", home / "home", user,
                                           1000)
                .kind;
        };
        CHECK(read_as(12345) == Kind::Read);
        CHECK(read_as(0) == Kind::Refused);
        CHECK(read_as(54321) == Kind::Refused);
    }
}

TEST_CASE("trusted file: a link is followed to a trusted place only") {
    const Home home;
    namespace fs = std::filesystem;
    fs::create_directory(home / "home/dotfiles");
    home.set_mode("home/dotfiles", 0700);
    home.write("home/dotfiles/keys", "linked");
    home.set_mode("home/dotfiles/keys", 0600);
    fs::create_symlink(home / "home/dotfiles/keys", home / "home/.ssh/linked");
    CHECK(home.read_trusted("home/.ssh/linked").content == "linked");
    home.set_mode("home/dotfiles", 0770);
    CHECK(home.read_trusted("home/.ssh/linked").kind == Kind::Refused);

    // Out of the home everything up to the root counts, and /tmp is everybody's.
    home.write("outside", "outside");
    fs::create_symlink(home / "outside", home / "home/.ssh/outside");
    CHECK(home.read_trusted("home/.ssh/outside").kind == Kind::Refused);
    fs::create_symlink("loop", home / "home/.ssh/loop");
    CHECK(home.read_trusted("home/.ssh/loop").kind == Kind::Refused);
    fs::create_symlink("nowhere", home / "home/.ssh/dangling");
    CHECK(home.read_trusted("home/.ssh/dangling").kind == Kind::Missing);

    fs::create_symlink(home / "home", home / "home-link");
    const auto through = frsh::read_trusted_file(home / "home-link/.ssh/authorized_keys",
                                                 home / "home-link", ::geteuid(), 1000);
    CHECK(through.kind == Kind::Read);
}

TEST_CASE("trusted file: anything but a regular file is refused") {
    const Home home;
    REQUIRE(::mkfifo((home / "home/.ssh/fifo").c_str(), 0600) == 0);
    CHECK(home.read_trusted("home/.ssh/fifo").why ==
          (home / "home/.ssh/fifo") + ": not a regular file");
    CHECK(home.read_trusted("home/.ssh").kind == Kind::Refused);
    CHECK(home.read_trusted("home").kind == Kind::Refused);
    std::filesystem::create_symlink("/dev/zero", home / "home/.ssh/device");
    CHECK(home.read_trusted("home/.ssh/device").kind == Kind::Refused);
    CHECK(frsh::read_trusted_file("/", "/", ::geteuid(), 10).kind == Kind::Refused);

    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = home / "home/.ssh/socket";
    REQUIRE(path.size() < sizeof address.sun_path);
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const frsh::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    CHECK(home.read_trusted("home/.ssh/socket").kind == Kind::Refused);
}
