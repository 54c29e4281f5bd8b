# Looks up the lines that sources.txt points at.
#
#   cmake -DROOT=... -DLIST=... -DOUT=sources.cpp -P sources.cmake    writes them as C++
#   cmake -DROOT=... -DLIST=... -P sources.cmake                      only checks, and fails loudly
#
# A snippet that is gone does not stop a build (the lesson then names the file alone); it stops the
# tests.
file(STRINGS ${LIST} entries REGEX "^[^#]+[|]")
set(rows "")
set(problems 0)
foreach(entry IN LISTS entries)
    string(REGEX MATCH "^([^|]+)[|]([^|]+)[|](.+)$" matched "${entry}")
    set(key "${CMAKE_MATCH_1}")
    set(file "${CMAKE_MATCH_2}")
    set(snippet "${CMAKE_MATCH_3}")
    set(line 0)
    set(whole "${snippet}")
    if(EXISTS "${ROOT}/${file}")
        file(READ "${ROOT}/${file}" content)
        string(FIND "${content}" "${snippet}" first)
        string(FIND "${content}" "${snippet}" last REVERSE)
        if(NOT first EQUAL -1)
            string(SUBSTRING "${content}" 0 ${first} before)
            string(REGEX REPLACE "[^\n]+" "" newlines "${before}")
            string(LENGTH "${newlines}" line)
            math(EXPR line "${line} + 1")
            # The whole line it stands in, as the lesson shows it.
            string(FIND "${before}" "\n" start REVERSE)
            math(EXPR start "${start} + 1")
            string(SUBSTRING "${content}" ${start} -1 rest)
            string(FIND "${rest}" "\n" end)
            string(SUBSTRING "${rest}" 0 ${end} whole)
            string(STRIP "${whole}" whole)
            if(NOT first EQUAL last)
                message(STATUS "sources.txt: ${key}: \"${snippet}\" stands more than once in ${file}")
                math(EXPR problems "${problems} + 1")
            endif()
        endif()
    endif()
    if(line EQUAL 0)
        message(STATUS "sources.txt: ${key}: \"${snippet}\" is not in ${file}")
        math(EXPR problems "${problems} + 1")
    endif()
    string(APPEND rows "    {\"${key}\", \"${file}\", ${line}, R\"~(${whole})~\"},\n")
endforeach()

if(OUT)
    file(WRITE ${OUT} "// Made by sources.cmake from sources.txt.
#include \"client/demo/sources.hpp\"

namespace frsh::demo {

const std::vector<SourceLine>& source_lines() {
    static const std::vector<SourceLine> lines = {
${rows}    };
    return lines;
}

}  // namespace frsh::demo
")
elseif(problems GREATER 0)
    message(FATAL_ERROR "${problems} of the places that lessons name are not there (see above)")
endif()
