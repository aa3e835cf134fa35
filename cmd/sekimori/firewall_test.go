package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckWays: every connection that the configuration asks for is listed, with its direction.
func TestCheckWays(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "sekimori.toml")
	text := `data_dir = "data"
[smtp]
mynetworks = ["10.0.0.0/8"]
[[smtp.listener]]
listen = ["0.0.0.0:25"]
[[smtp.listener]]
listen = ["10.0.0.5:26"]
proxy_protocol_from = ["10.0.0.1"]
[http]
listen = "127.0.0.1:8025"
[metrics]
listen = "10.0.0.5:9025"
[dns]
servers = ["192.0.2.53"]
backend_servers = ["192.0.2.54:5353"]
[redis]
url = "redis://192.0.2.60/0"
[[domain]]
names = ["example.jp"]
recipients = "any"
backends = ["smtp://192.0.2.70:25", "lmtp+unix:///run/lmtp"]
[[domain]]
names = ["example.net"]
recipients = "any"
backends = ["maildir:maildir"]
`
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := runCommand(t, dir, "check", "--json", "--config", conf)
	var r checkReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || !r.OK || r.Running.State != "none" {
		t.Fatalf("%v %d\n%s", err, code, out)
	}
	var got []string
	for _, w := range r.Firewall {
		got = append(got, strings.Join([]string{w.Direction, w.Protocol, w.Address, w.Peer}, " "))
	}
	want := []string{
		"in tcp 0.0.0.0:25 everywhere", "in tcp 10.0.0.5:26 the balancers 10.0.0.1/32", "in tcp 127.0.0.1:8025 this machine",
		"in tcp 10.0.0.5:9025 Prometheus and the balancer", "out udp+tcp 192.0.2.53:53 ", "out udp+tcp 192.0.2.54:5353 ",
		"out tcp 192.0.2.70:25 ", "out unix /run/lmtp ", "out tcp 192.0.2.60:6379 ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if out, code := runCommand(t, dir, "check", "--config", conf); code != 0 || !strings.Contains(out, "192.0.2.70:25") {
		t.Errorf("%d\n%s", code, out)
	}
}
