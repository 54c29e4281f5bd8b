#include "common/net/transport.hpp"

#include <cstddef>
#include <string_view>

#include <sys/socket.h>

namespace frsh {

FdTransport::FdTransport(Fd input, Fd output)
    : input_(std::move(input)), output_(std::move(output)), has_output_(output_.is_open()) {
    set_nonblocking(input_.get());
    if (has_output_) set_nonblocking(output_.get());
}

IoResult FdTransport::read(char* buffer, std::size_t size) {
    return read_some(input_.get(), buffer, size);
}

IoResult FdTransport::write(std::string_view bytes) {
    return write_some(write_fd(), bytes);
}

void FdTransport::finish_writing() {
    ::shutdown(write_fd(), SHUT_WR);  // Fails for a pipe, where only close(2) sends end-of-file.
    output_.close();
}

int FdTransport::write_fd() const {
    return output_.is_open() ? output_.get() : input_.get();
}

}  // namespace frsh
