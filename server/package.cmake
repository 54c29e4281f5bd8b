# `cpack -G DEB`: two packages, frsh (the client and its teacher) and frshd (the server).
set(CPACK_PACKAGE_NAME frsh)
set(CPACK_PACKAGE_VENDOR frsh)
set(CPACK_PACKAGE_CONTACT "frsh <root@localhost>")
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
set(CPACK_DEBIAN_SERVER_PACKAGE_NAME frshd)
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS "adduser")
set(CPACK_COMPONENT_SERVER_DESCRIPTION
    "framed remote shell (server)
 Serves `frsh` over TLS to whoever has an SSH key in authorized_keys. Neither
 enabled nor started by its installation, and on loopback until configured in
 /etc/frsh/frshd.toml.")
# Packing is not building: not everything that could be built, tests and all, goes into them.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
set(package_scripts ${CMAKE_CURRENT_LIST_DIR}/package)
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA ${package_scripts}/conffiles
    ${package_scripts}/postinst ${package_scripts}/prerm ${package_scripts}/postrm)
include(CPack)
