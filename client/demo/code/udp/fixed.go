// udp, fixed, in Go: room for the largest datagram, and a number in each.
package main

import (
	"encoding/binary"
	"fmt"
	"net"
)

func main() {
	server, _ := net.ListenPacket("udp", "127.0.0.1:0")
	client, _ := net.Dial("udp", server.LocalAddr().String())
	for number, data := range []string{"abcdefghijklmnopqrstuvwxyz", "next"} {
		head := binary.BigEndian.AppendUint32(nil, uint32(number))
		client.Write(append(head, data...))
	}
	for wanted := uint32(0); wanted < 2; wanted++ {
		datagram := make([]byte, 65535)
		n, _, _ := server.ReadFrom(datagram)
		if binary.BigEndian.Uint32(datagram) != wanted {
			fmt.Println("lost")
			continue
		}
		fmt.Printf("%q\n", datagram[4:n])
	}
}
