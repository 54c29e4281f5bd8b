# Writes the programs under code/ as C++, so that frsh-demo can show them.
#
#   cmake -DFOLDER=code -DOUT=code.cpp -P code.cmake
file(GLOB names RELATIVE ${FOLDER} ${FOLDER}/*/*.py ${FOLDER}/*/*.go ${FOLDER}/*/*.c)
list(SORT names)
set(rows "")
foreach(name IN LISTS names)
    file(READ "${FOLDER}/${name}" content)
    get_filename_component(lesson "${name}" DIRECTORY)
    get_filename_component(file "${name}" NAME)
    string(APPEND rows "        {\"${lesson}\", \"${file}\", R\"~~~(${content})~~~\"},\n")
endforeach()
file(WRITE ${OUT} "// Made by code.cmake from the folder code/.
#include \"client/demo/code.hpp\"

namespace frsh::demo {

const std::vector<CodeFile>& code_files() {
    static const std::vector<CodeFile> files = {
${rows}    };
    return files;
}

}  // namespace frsh::demo
")
