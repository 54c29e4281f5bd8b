// udp, naive, in Go: the buffer is too short, and the rest is gone.
package main

import (
	"fmt"
	"net"
)

func main() {
	server, _ := net.ListenPacket("udp", "127.0.0.1:0")
	client, _ := net.Dial("udp", server.LocalAddr().String())
	client.Write([]byte("abcdefghijklmnopqrstuvwxyz"))
	client.Write([]byte("next"))
	for i := 0; i < 2; i++ {
		buffer := make([]byte, 10)
		n, _, _ := server.ReadFrom(buffer)
		fmt.Printf("%q\n", buffer[:n])
	}
}
