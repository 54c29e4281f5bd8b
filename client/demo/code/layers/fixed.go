// layers, fixed, in Go: the bits under the mask decide.
package main

import (
	"fmt"
	"net"
)

func nextHop(mine, other, gateway string) string {
	mask := net.CIDRMask(24, 32)
	network := net.ParseIP(mine).Mask(mask)
	if net.ParseIP(other).Mask(mask).Equal(network) {
		return other
	}
	return gateway
}

func main() {
	fmt.Println(nextHop("10.0.1.2", "10.0.1.9", "10.0.1.1"))
	fmt.Println(nextHop("10.0.1.2", "10.0.12.9", "10.0.1.1"))
}
