// empty, fixed, in Go: a length of 0 is a message, io.EOF is the end.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	client, _ := net.Dial("tcp", listener.Addr().String())
	conn, _ := listener.Accept()
	conn.Write(binary.BigEndian.AppendUint32(nil, 0))
	conn.Close()
	for {
		length := make([]byte, 4)
		if _, err := io.ReadFull(client, length); err == io.EOF {
			fmt.Println("the end")
			return
		}
		answer := make([]byte, binary.BigEndian.Uint32(length))
		io.ReadFull(client, answer)
		fmt.Printf("answer: %q\n", answer)
	}
}
