// cures, naive, in Go: read until nothing comes.
package main

import (
	"fmt"
	"net"
	"time"
)

func answer(conn net.Conn) []byte {
	var data []byte
	buffer := make([]byte, 1024)
	for {
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := conn.Read(buffer)
		if err != nil {
			return data // Silence: this must be all. Or is it?
		}
		data = append(data, buffer[:n]...)
	}
}

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	client, _ := net.Dial("tcp", listener.Addr().String())
	conn, _ := listener.Accept()
	conn.Write([]byte("first part, "))
	fmt.Printf("answer 1: %q\n", answer(client))
	conn.Write([]byte("second part"))
	fmt.Printf("answer 2: %q\n", answer(client))
}
