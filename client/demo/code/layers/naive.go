// layers, naive, in Go: addresses compared as text.
package main

import (
	"fmt"
	"strings"
)

func nextHop(mine, other, gateway string) string {
	network := mine[:strings.LastIndex(mine, ".")]
	if strings.HasPrefix(other, network) {
		return other
	}
	return gateway
}

func main() {
	fmt.Println(nextHop("10.0.1.2", "10.0.1.9", "10.0.1.1"))
	fmt.Println(nextHop("10.0.1.2", "10.0.12.9", "10.0.1.1"))
}
