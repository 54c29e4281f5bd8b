#include "common/net/transport.hpp"

#include <sys/socket.h>

namespace frsh {

FdTransport::FdTransport(Fd input, Fd output)
    : input_(std::move(input)), output_(std::move(output)) {
    set_nonblocking(input_.get());
    if (output_.is_open()) set_nonblocking(output_.get());
}

IoResult FdTransport::read(char* buffer, std::size_t size) {
    return read_some(input_.get(), buffer, size);
}

IoResult FdTransport::write(std::string_view bytes) {
    return write_some(write_fd(), bytes);
}

void FdTransport::finish_writing() {
    if (output_.is_open()) {
        output_.close();  // For a pipe, closing is the only way to say it.
    } else {
        ::shutdown(input_.get(), SHUT_WR);
    }
}

int FdTransport::write_fd() const {
    return output_.is_open() ? output_.get() : input_.get();
}

}  // namespace frsh
