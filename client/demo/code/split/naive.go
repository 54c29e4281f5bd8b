// split, naive, in Go: a Write that is cut short, and one Read.
package main

import (
	"fmt"
	"net"
	"time"
)

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	client, _ := net.Dial("tcp", listener.Addr().String())
	conn, _ := listener.Accept()
	message := make([]byte, 1<<20)
	client.(*net.TCPConn).SetWriteBuffer(65536)
	client.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	client.Write(message) // Returns how many were taken; nothing looks.
	client.Close()
	got := make([]byte, 1<<22)
	n, _ := conn.Read(got) // Takes only what has arrived.
	if n == len(message) {
		fmt.Println("whole")
	} else {
		fmt.Println("a part of it")
	}
}
