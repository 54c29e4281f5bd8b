// server, fixed, in Go: a goroutine for each client.
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
			go func() {
				io.Copy(conn, conn)
				conn.Close()
			}()
		}
	}()
	net.Dial("tcp", listener.Addr().String()) // A silent client.
	asking, _ := net.Dial("tcp", listener.Addr().String())
	asking.Write([]byte("hello"))
	answer := make([]byte, 1024)
	asking.SetReadDeadline(time.Now().Add(3 * time.Second))
	n, err := asking.Read(answer)
	if err != nil {
		fmt.Println("no answer")
		return
	}
	fmt.Printf("answer: %q\n", answer[:n])
}
