// merge, naive, in Go: one Read taken for one message.
package main

import (
	"fmt"
	"net"
)

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	client, _ := net.Dial("tcp", listener.Addr().String())
	conn, _ := listener.Accept()
	messages := []string{"echo one;", "echo two;", "echo three;"}
	for _, message := range messages {
		client.Write([]byte(message))
	}
	client.Close()
	buffer := make([]byte, 1024) // The reader was busy until now.
	n, _ := conn.Read(buffer)
	fmt.Printf("message 1: %s\n", buffer[:n])
}
