// server, naive, in Go: a silent client blocks the next one.
package main

import (
	"fmt"
	"io"
	"net"
	"time"
)

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	go func() {
		for {
			conn, _ := listener.Accept()
			io.Copy(conn, conn) // Echoes until this client has finished.
			conn.Close()
		}
	}()
	silent, _ := net.Dial("tcp", listener.Addr().String())
	asking, _ := net.Dial("tcp", listener.Addr().String())
	asking.Write([]byte("hello"))
	answer := make([]byte, 1024)
	asking.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := asking.Read(answer); err != nil {
		fmt.Println("no answer")
	}
	silent.Close()
	asking.SetReadDeadline(time.Time{})
	n, _ := asking.Read(answer)
	fmt.Printf("after the silent client has left: %q\n", answer[:n])
}
