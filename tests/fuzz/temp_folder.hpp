// A temporary folder of a fuzz target, in a file system in memory if there is one: a new folder is
// made for every input.
#pragma once

#include "tests/fuzz/must_hold.hpp"

#include <filesystem>
#include <string>
#include <system_error>

#include <unistd.h>

struct TempFolder {
    TempFolder() {
        std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm/" : "/tmp/";
        name += "frsh-fuzz-XXXXXX";
        must_hold(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    std::string path;
};
