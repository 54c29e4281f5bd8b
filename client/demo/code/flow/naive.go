// flow, naive, in Go: the port of a server that closed first is taken.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Go sets SO_REUSEADDR by itself. C and Python do not, so switch it off.
func withoutReuse(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		const level, name = syscall.SOL_SOCKET, syscall.SO_REUSEADDR
		syscall.SetsockoptInt(int(fd), level, name, 0)
	})
}

func serveOnce(address string) (string, error) {
	config := net.ListenConfig{Control: withoutReuse}
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return "", err
	}
	defer listener.Close()
	client, _ := net.Dial("tcp", listener.Addr().String())
	conn, _ := listener.Accept()
	conn.Close() // The server closes first: its port is in TIME_WAIT.
	client.Read(make([]byte, 1))
	client.Close()
	return listener.Addr().String(), nil
}

func main() {
	address, _ := serveOnce("127.0.0.1:0")
	_, err := serveOnce(address)
	fmt.Println("cannot start:", errors.Unwrap(errors.Unwrap(err)))
}
