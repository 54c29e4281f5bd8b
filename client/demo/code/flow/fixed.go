// flow, fixed, in Go: net.Listen sets SO_REUSEADDR by itself.
package main

import (
	"fmt"
	"net"
)

func serveOnce(address string) (string, error) {
	listener, err := net.Listen("tcp", address)
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
	if _, err := serveOnce(address); err != nil {
		fmt.Println("cannot start:", err)
		return
	}
	fmt.Println("started again")
}
