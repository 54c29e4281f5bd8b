// frame, fixed, in Go: io.ReadFull is "exactly", and Write is "sendall".
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
)

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	go func() {
		conn, _ := net.Dial("tcp", listener.Addr().String())
		for _, message := range []string{"echo one", "printf 'a\nb'"} {
			header, _ := json.Marshal(map[string]int{"size": len(message)})
			length := binary.BigEndian.AppendUint32(nil, uint32(len(header)))
			conn.Write(append(append(length, header...), message...))
		}
		conn.Close()
	}()
	conn, _ := listener.Accept()
	for i := 0; i < 2; i++ {
		length := make([]byte, 4)
		io.ReadFull(conn, length)
		text := make([]byte, binary.BigEndian.Uint32(length))
		io.ReadFull(conn, text)
		var header map[string]int
		json.Unmarshal(text, &header)
		message := make([]byte, header["size"])
		io.ReadFull(conn, message)
		fmt.Printf("%q\n", message)
	}
}
