// split, fixed, in Go: Write repeats by itself, io.ReadFull repeats Read.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	client, _ := net.Dial("tcp", listener.Addr().String())
	conn, _ := listener.Accept()
	message := bytes.Repeat([]byte("A"), 1<<20)
	go func() {
		size := uint32(len(message))
		client.Write(binary.BigEndian.AppendUint32(nil, size))
		client.Write(message)
	}()
	length := make([]byte, 4)
	io.ReadFull(conn, length)
	got := make([]byte, binary.BigEndian.Uint32(length))
	io.ReadFull(conn, got)
	if bytes.Equal(got, message) {
		fmt.Println("whole")
	} else {
		fmt.Println("a part of it")
	}
}
