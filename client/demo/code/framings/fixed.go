// framings, fixed, in Go: in the data the newline is escaped.
package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
)

var escape = strings.NewReplacer("\\", "\\\\", "\n", "\\n")

// The pairs are found from the left, so "\\n" is a backslash and an n.
var unescape = strings.NewReplacer("\\\\", "\\", "\\n", "\n")

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	client, _ := net.Dial("tcp", listener.Addr().String())
	conn, _ := listener.Accept()
	for _, message := range []string{"echo one", "printf 'a\nb'", ""} {
		for _, letter := range []byte(escape.Replace(message) + "\n") {
			client.Write([]byte{letter})
		}
	}
	client.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		fmt.Printf("%q\n", unescape.Replace(lines.Text()))
	}
}
