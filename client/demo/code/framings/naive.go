// framings, naive, in Go: a newline as the end, and one in the data.
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
	for _, message := range []string{"echo one", "printf 'a\nb'", ""} {
		client.Write([]byte(message + "\n"))
	}
	client.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		fmt.Printf("%q\n", lines.Text())
	}
}
