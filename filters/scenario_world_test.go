package filters

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

func tlsState() *tls.ConnectionState {
	return &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, HandshakeComplete: true}
}

// writeMMDB makes a MaxMind database of a text: the line "type GeoLite2-Country" and lines of a network and its record
// in JSON (whole numbers become uint32). "broken" alone writes a file that is no database.
func writeMMDB(t *testing.T, path, text string) {
	t.Helper()
	if strings.TrimSpace(text) == "broken" {
		if err := os.WriteFile(path, []byte("not a database"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	head, rest, _ := strings.Cut(text, "\n")
	kind, _ := strings.CutPrefix(head, "type ")
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: strings.TrimSpace(kind), RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(rest) {
		network, record, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		var v any
		if err := json.Unmarshal([]byte(record), &v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		p := netip.MustParsePrefix(network)
		ipnet := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
		if err := w.Insert(ipnet, mmdbValue(v)); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := w.WriteTo(f); err != nil {
		t.Fatal(err)
	}
}

func mmdbValue(v any) mmdbtype.DataType {
	switch v := v.(type) {
	case map[string]any:
		m := mmdbtype.Map{}
		for k, x := range v {
			m[mmdbtype.String(k)] = mmdbValue(x)
		}
		return m
	case string:
		return mmdbtype.String(v)
	case bool:
		return mmdbtype.Bool(v)
	case float64:
		return mmdbtype.Uint32(v)
	}
	panic("mmdbValue: not a kind that GeoIP files hold")
}
