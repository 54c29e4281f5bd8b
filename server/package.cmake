# `cpack -G DEB`: frsh (the client and its teacher), frshd (the server) and python3-frsh.
set(CPACK_PACKAGE_NAME frsh)
set(CPACK_PACKAGE_VENDOR frsh)
set(FRSH_MAINTAINER "The frsh authors <frsh@frsh.invalid>" CACHE STRING "Maintainer of packages")
set(CPACK_PACKAGE_CONTACT ${FRSH_MAINTAINER})
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
    GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL client server configuration)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_COMPONENT_CLIENT_GROUP client)
set(CPACK_COMPONENT_SERVER_GROUP server)
set(CPACK_COMPONENT_CONFIGURATION_GROUP server)

# Only packages have these files.
configure_file(${CMAKE_CURRENT_LIST_DIR}/package/changelog.in ${CMAKE_BINARY_DIR}/changelog @ONLY)
foreach(package client:frsh server:frshd python:python3-frsh)
    string(REPLACE ":" ";" package ${package})
    list(GET package 0 component)
    list(GET package 1 name)
    install(FILES ${CMAKE_BINARY_DIR}/changelog DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name}
            COMPONENT ${component}_package EXCLUDE_FROM_ALL)
    set(group CPACK_COMPONENT_${component}_PACKAGE_GROUP)
    string(TOUPPER ${group} group)
    set(${group} ${component})
    list(APPEND CPACK_COMPONENTS_ALL ${component}_package)
endforeach()
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/package/compress.cmake)

# frsh loads OpenSSL itself, so that dpkg-shlibdeps does not see it.
get_target_property(openssl frsh FRSH_OPENSSL)
if(openssl STREQUAL "lazy")
    file(REAL_PATH ${OPENSSL_SSL_LIBRARY} library)
    execute_process(COMMAND dpkg-query -S ${library} OUTPUT_VARIABLE owner ERROR_QUIET)
    if(NOT owner MATCHES "^([a-z0-9.+-]+):")
        execute_process(COMMAND dpkg-query -S /usr${library} OUTPUT_VARIABLE owner ERROR_QUIET)
    endif()
    if(owner MATCHES "^([a-z0-9.+-]+):")
        set(CPACK_DEBIAN_CLIENT_PACKAGE_DEPENDS "${CMAKE_MATCH_1} (>= 3.0.0)")
    endif()
endif()

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME frsh)
set(CPACK_DEBIAN_CLIENT_PACKAGE_RECOMMENDS "frshd, openssh-client")
set(CPACK_COMPONENT_CLIENT_DESCRIPTION
    "framed remote shell (client)
 Runs commands on another machine and hands back exactly what they did: every
 byte of stdout and stderr, apart, counted and checksummed, and one record of
 how the run ended.")
set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-frsh)
set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "frsh, python3:any (>= 3.9)")
set(CPACK_DEBIAN_PYTHON_PACKAGE_SUGGESTS "clustershell")
set(CPACK_COMPONENT_PYTHON_DESCRIPTION
    "framed remote shell (Python package)
 Runs commands on another machine through frsh, from asyncio or plain code, and
 returns exactly what they did. Has a server of the Model Context Protocol and
 a worker for ClusterShell.")
set(CPACK_DEBIAN_SERVER_PACKAGE_NAME frshd)
# frshd loads libpam itself, so that dpkg-shlibdeps does not see it.
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS "adduser, libpam0g, libpam-runtime, libpam-modules")
set(CPACK_COMPONENT_SERVER_DESCRIPTION
    "framed remote shell (server)
 Serves `frsh` over TLS to whoever has an SSH key in authorized_keys. Neither
 enabled nor started by its installation, and on loopback until configured in
 /etc/frsh/frshd.toml.")
# Packing is not building: not everything that could be built, tests and all, goes into them.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
set(package_scripts ${CMAKE_CURRENT_LIST_DIR}/package)
set(CPACK_DEBIAN_CLIENT_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/client/package/prerm)
set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA
    ${CMAKE_SOURCE_DIR}/client/python/package/postinst
    ${CMAKE_SOURCE_DIR}/client/python/package/prerm)
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA ${package_scripts}/conffiles
    ${package_scripts}/postinst ${package_scripts}/prerm ${package_scripts}/postrm)
include(CPack)
