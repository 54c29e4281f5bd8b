// merge, fixed, in Go: four bytes with the length in front of each message.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	go func() {
		conn, _ := net.Dial("tcp", listener.Addr().String())
		messages := []string{"echo one;", "echo two;", "echo three;"}
		for _, message := range messages {
			length := binary.BigEndian.AppendUint32(nil, uint32(len(message)))
			conn.Write(append(length, message...))
		}
		conn.Close()
	}()
	conn, _ := listener.Accept()
	for number := 1; number <= 3; number++ {
		length := make([]byte, 4)
		io.ReadFull(conn, length)
		message := make([]byte, binary.BigEndian.Uint32(length))
		io.ReadFull(conn, message)
		fmt.Printf("message %d: %s\n", number, message)
	}
}
