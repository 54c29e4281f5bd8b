#!/usr/bin/env python3
"""Checks that each C++ file includes the standard headers whose names it uses.

A source may rely on what its own header includes, and on nothing else that comes by chance: a
header that stops including another one must not break files far away.

Usage: scripts/check_includes.py [--fix] [FILE...]    without files: all of the tree
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Header: the names for which it must be included. Names of std unless they have a prefix.
NAMES = {
    "algorithm": "all_of any_of none_of copy copy_n count count_if equal fill find_if find_if_not "
                 "lower_bound upper_bound max min clamp minmax sort stable_sort mismatch search "
                 "remove_if reverse replace rotate transform unique for_each max_element "
                 "min_element partition nth_element",
    "array": "array to_array",
    "atomic": "atomic atomic_flag",
    "bit": "bit_cast bit_width endian has_single_bit popcount",
    "cerrno": "::errno",
    "charconv": "from_chars to_chars",
    "chrono": "chrono::",
    "cstddef": "size_t byte ptrdiff_t nullptr_t",
    "cstdint": "uint8_t uint16_t uint32_t uint64_t int8_t int16_t int32_t int64_t uintptr_t",
    "cstdio": "printf fprintf fputs fflush perror fwrite snprintf",
    "cstdlib": "getenv exit abort strtol strtoul free malloc",
    "cstring": "memcpy memcmp memset memmove memchr strlen strcmp strerror",
    "deque": "deque",
    "exception": "exception exception_ptr current_exception rethrow_exception terminate",
    "filesystem": "filesystem::",
    "fstream": "ifstream ofstream fstream",
    "functional": "function hash less reference_wrapper ref cref bind_front",
    "initializer_list": "initializer_list",
    "iterator": "back_inserter istreambuf_iterator distance advance prev make_move_iterator "
                "inserter",
    "limits": "numeric_limits",
    "list": "list",
    "map": "map multimap",
    "memory": "unique_ptr make_unique shared_ptr make_shared weak_ptr enable_shared_from_this",
    "mutex": "mutex lock_guard unique_lock scoped_lock once_flag call_once",
    "new": "bad_alloc nothrow",
    "numeric": "accumulate iota",
    "optional": "optional nullopt make_optional nullopt_t",
    "ranges": "ranges::",
    "regex": "regex regex_match regex_search smatch",
    "set": "set multiset",
    "span": "span",
    "sstream": "ostringstream istringstream stringstream",
    "stdexcept": "runtime_error logic_error invalid_argument out_of_range length_error",
    "string": "string to_string stoi stoul u8string getline",
    "string_view": "string_view",
    "system_error": "system_error errc error_code generic_category system_category",
    "thread": "thread jthread this_thread::",
    "tuple": "tuple tie make_tuple forward_as_tuple",
    "type_traits": "is_same_v decay_t conditional_t enable_if_t remove_cvref_t underlying_type_t "
                   "is_base_of_v is_trivially_copyable_v",
    "unordered_map": "unordered_map",
    "unordered_set": "unordered_set",
    "utility": "move forward exchange pair make_pair swap in_place as_const index_sequence",
    "variant": "variant get_if holds_alternative visit monostate variant_size_v "
               "variant_alternative_t",
    "vector": "vector",
}
HEADER_OF = {name: header for header, names in NAMES.items() for name in names.split()}
# Either header declares the name.
ALSO = {"size_t": {"cstdio", "cstdlib", "cstring", "string", "string_view", "vector", "span"},
        "copy": {"filesystem"}, "string_view": {"string"}, "exit": {"unistd.h"},
        "swap": {"string", "vector", "map", "optional"}, "move": {"algorithm", "memory"},
        "errno": {"errno.h"}, "getline": {"iostream"}, "ranges": {"algorithm"},
        "initializer_list": {"string", "vector"}, "pair": {"map", "unordered_map"},
        "exception": {"stdexcept"}, "hash": {"string", "string_view"}}


def code_of(text):
    """Returns the text without comments and string literals."""
    text = re.sub(r'R"(\w*)\(.*?\)\1"', '""', text, flags=re.S)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def includes_of(text):
    return set(re.findall(r'^#include [<"]([^>"]+)[>"]', text, re.M))


def missing(path):
    """Returns each header that the file must include and does not."""
    text = path.read_text()
    included = includes_of(text)
    own = str(path.relative_to(ROOT).with_suffix(".hpp"))
    if path.suffix == ".cpp" and own in included:
        included |= includes_of((ROOT / own).read_text())
    code = code_of(text)
    used = set(re.findall(r"\bstd::(\w+)", code))
    if re.search(r"\berrno\b|\bE[A-Z]{3,}\b(?=\s*[;:)|&?]|\s*==)", code) and re.search(r"\berrno\b", code):
        used.add("::errno")
    result = set()
    for name in used:
        header = HEADER_OF.get(name) or HEADER_OF.get(name + "::")
        if header and header not in included and not ALSO.get(name.strip(":"), set()) & included:
            result.add(header)
    return sorted(result)


def fix(path, headers):
    """Puts the headers into the file's block of standard headers, or begins that block."""
    lines = path.read_text().split("\n")
    new = [f"#include <{header}>" for header in headers]
    place = [i for i, line in enumerate(lines) if re.match(r"#include <[a-z_]+>", line)]
    if place:
        lines[place[-1] + 1:place[-1] + 1] = new
    else:
        every = [i for i, line in enumerate(lines) if line.startswith("#include")]
        after = every[-1] if every else next(i for i, line in enumerate(lines) if "#pragma once" in line)
        lines[after + 1:after + 1] = ["", *new]
    path.write_text("\n".join(lines))


def main():
    arguments = sys.argv[1:]
    wants_fix = "--fix" in arguments
    names = [name for name in arguments if name != "--fix"] or subprocess.run(
        ["git", "ls-files", "*.cpp", "*.hpp"], cwd=ROOT, capture_output=True, text=True,
        check=True).stdout.split()
    problems = 0
    for name in names:
        path = (ROOT / name).resolve()
        headers = missing(path)
        if headers and wants_fix:
            fix(path, headers)
        elif headers:
            problems += 1
            print(f"{name}: uses names of <{'>, <'.join(headers)}>, and does not include it")
    print(f"includes: {problems} files lack a header" if problems else "includes: complete")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
