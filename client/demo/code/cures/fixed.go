// cures, fixed, in Go: the reader knows how much is still to come.
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
	answer := "first part, second part"
	head := binary.BigEndian.AppendUint32(nil, uint32(len(answer)))
	conn.Write(append(head, answer[:12]...))
	length := make([]byte, 4)
	io.ReadFull(client, length)
	conn.Write([]byte(answer[12:]))
	got := make([]byte, binary.BigEndian.Uint32(length))
	io.ReadFull(client, got)
	fmt.Printf("answer 1: %q\n", got)
}
