# Compresses manual pages and changelogs of the staged packages (Debian policy 12.1 and 12.7).
# cpack runs this after it has installed the components and before it packs them. gzip -n leaves out
# the time, so that equal files give equal packages.
file(GLOB_RECURSE files LIST_DIRECTORIES FALSE ${CPACK_TEMPORARY_DIRECTORY}/*)
list(FILTER files INCLUDE REGEX "/share/(man/.*[0-9]|doc/[^/]+/changelog)$")
foreach(file IN LISTS files)
    execute_process(COMMAND gzip -9n ${file} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
