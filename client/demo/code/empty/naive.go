// empty, naive, in Go: nothing is written, and the reader waits in vain.
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
	conn.Write(nil) // What the command true printed. Nothing leaves.
	client.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	answer := make([]byte, 1024)
	n, err := client.Read(answer)
	if err != nil {
		fmt.Println("no answer")
	} else {
		fmt.Printf("answer: %q\n", answer[:n])
	}
}
