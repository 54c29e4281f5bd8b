// naive, in Go: the remote shell of the textbooks.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
)

func serve(listener net.Listener) {
	conn, _ := listener.Accept()
	command := make([]byte, 1024)
	for {
		n, err := conn.Read(command)
		if err != nil {
			return
		}
		output, _ := exec.Command("sh", "-c", string(command[:n])).Output()
		conn.Write(output)
	}
}

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	go serve(listener)
	conn, _ := net.Dial("tcp", listener.Addr().String())
	for _, command := range []string{"seq 1 600", "echo hello"} {
		conn.Write([]byte(command))
		answer := make([]byte, 1024)
		n, _ := conn.Read(answer)
		mark := "without hello"
		if bytes.Contains(answer[:n], []byte("hello")) {
			mark = "with hello"
		}
		fmt.Println(command, "->", n, "bytes,", mark)
	}
}
