// Command zcp2kopano migrates a mail server from ZCP 7.1/7.2 to Kopano Core, in place: simulated
// first, and for real when told so.
package main

import (
	"os"
)

func main() {
	guarded := beGuarded() // changes os.Stderr
	os.Exit(execute(os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, guarded: guarded}))
}
