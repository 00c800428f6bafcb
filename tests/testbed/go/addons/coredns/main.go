// SPDX-License-Identifier: GPL-3.0-or-later

// Command coredns is CoreDNS with the plugins of the testbed's Corefile only: many of the others bring the SDK of a cloud with them.
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() {
	coremain.Run()
}
