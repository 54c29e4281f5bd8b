# Writes the stubs through which frsh calls OpenSSL without being linked to it.
#
#   cmake -DNM=nm -DUSERS=a.a,b.a -DSSL=libssl.so -DCRYPTO=libcrypto.so -DOUT=stubs.cpp -P ...
#
# A client that reaches its server over a unix socket or stdio needs no OpenSSL, and loading it
# takes longer than everything else such a client does at its start. Each function of OpenSSL that
# the libraries in USERS call gets a stub of the same name, which jumps to the address in its slot.
# At first, each slot leads to openssl_loader.cpp, which loads OpenSSL and fills all slots. So the
# stubs do for two libraries what lazy binding does for all libraries. Lazy binding itself is not
# possible, because full RELRO makes its table read-only.
cmake_minimum_required(VERSION 3.20)

function(symbols result filter)
    execute_process(COMMAND ${NM} ${ARGN} OUTPUT_VARIABLE text ERROR_QUIET COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL " ${filter} [A-Za-z0-9_]+" found "${text}")
    list(TRANSFORM found REPLACE "^ [A-Z] " "")
    set(${result} ${found} PARENT_SCOPE)
endfunction()

string(REPLACE "," ";" USERS "${USERS}")
symbols(wanted U -u ${USERS})
list(REMOVE_DUPLICATES wanted)
list(SORT wanted)
symbols(defined T -D --defined-only ${SSL} ${CRYPTO})
# The name under which the dynamic loader finds it, with the version of its interface: libssl.so.3.
file(REAL_PATH ${SSL} library)
get_filename_component(library ${library} NAME)

set(index 0)
foreach(name IN LISTS wanted)
    if(name IN_LIST defined)
        string(APPEND names "    \"${name}\",\n")
        string(APPEND stubs "FRSH_STUB(${name}, ${index})\n")
        string(APPEND slots "    openssl_first_call,\n")
        math(EXPR index "${index} + 1")
    endif()
endforeach()
if(index EQUAL 0)
    message(FATAL_ERROR "openssl_stubs: no function of OpenSSL is called by ${USERS}")
endif()

file(WRITE ${OUT} "// Made by openssl_stubs.cmake. Do not edit.
#include \"common/keys/openssl_loader.hpp\"

namespace frsh {

const char* const kOpensslLibrary = \"${library}\";
const char* const kOpensslFunctions[] = {
${names}    nullptr,
};

}  // namespace frsh

extern \"C\" {
OpensslSlot frsh_openssl_slots[] = {
${slots}};
}

${stubs}")
