# Writes the programs under code/ and the page under web/ as C++, for frsh-demo to show.
#
#   cmake -DFOLDER=client/demo -DOUT=code.cpp -P code.cmake
file(GLOB names RELATIVE ${FOLDER} ${FOLDER}/code/*/*.py ${FOLDER}/code/*/*.go
     ${FOLDER}/code/*/*.c ${FOLDER}/web/page.* ${FOLDER}/web/player.js)
list(SORT names)
set(rows "")
foreach(name IN LISTS names)
    file(READ "${FOLDER}/${name}" content)
    get_filename_component(folder "${name}" DIRECTORY)
    get_filename_component(lesson "${folder}" NAME)
    get_filename_component(file "${name}" NAME)
    string(APPEND rows "        {\"${lesson}\", \"${file}\", R\"~~~(${content})~~~\"},\n")
endforeach()
file(WRITE ${OUT} "// Made by code.cmake from the folders code/ and web/.
#include \"client/demo/code.hpp\"

namespace frsh::demo {

const std::vector<CodeFile>& code_files() {
    static const std::vector<CodeFile> files = {
${rows}    };
    return files;
}

}  // namespace frsh::demo
")
