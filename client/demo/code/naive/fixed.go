// naive, fixed, in Go: each answer has its length in front.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os/exec"
)

func send(conn net.Conn, data []byte) {
	binary.Write(conn, binary.BigEndian, uint32(len(data)))
	conn.Write(data)
}

func receive(conn net.Conn) []byte {
	var length uint32
	binary.Read(conn, binary.BigEndian, &length)
	data := make([]byte, length)
	io.ReadFull(conn, data)
	return data
}

func main() {
	conn, server := net.Pipe()
	for _, command := range []string{"seq 1 600", "echo hello"} {
		go send(conn, []byte(command))
		output, _ := exec.Command("sh", "-c", string(receive(server))).Output()
		go send(server, output)
		answer := receive(conn)
		mark := "without"
		if bytes.Contains(answer, []byte("hello")) {
			mark = "with"
		}
		fmt.Println(command, "->", len(answer), "bytes,", mark, "hello")
	}
}
