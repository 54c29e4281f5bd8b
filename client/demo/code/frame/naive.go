// frame, naive, in Go: a message with a newline in it becomes two.
package main

import (
	"bufio"
	"fmt"
	"net"
)

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	client, _ := net.Dial("tcp", listener.Addr().String())
	conn, _ := listener.Accept()
	for _, message := range []string{"echo one", "printf 'a\nb'"} {
		fmt.Fprintf(client, "%s\n", message)
	}
	client.Close()
	messages := 0
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		messages++
	}
	fmt.Println(messages, "messages")
}
