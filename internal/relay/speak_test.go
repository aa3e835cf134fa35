package relay

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

const secret = "open sesame"

func (s *fakeServer) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	if s.most > 0 && s.open > s.most {
		s.open--
		return false
	}
	s.peak = max(s.peak, s.open)
	return true
}

func (s *fakeServer) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// header reads a PROXY header of either version.
func (c *fakeConn) header() bool {
	b, err := c.r.Peek(6)
	if err != nil {
		return false
	}
	text := ""
	if string(b) == "PROXY " {
		text, _ = c.r.ReadString('\n')
	} else {
		head := make([]byte, 16)
		if _, err := io.ReadFull(c.r, head); err != nil {
			return false
		}
		rest := make([]byte, int(head[14])<<8|int(head[15]))
		if _, err := io.ReadFull(c.r, rest); err != nil {
			return false
		}
		text = hex.EncodeToString(append(head[12:14], rest...))
	}
	c.s.set(func() { c.s.headers = append(c.s.headers, strings.TrimSpace(text)) })
	return true
}

// chunk is BDAT (RFC 3030). Without a recipient the octets are read and refused.
func (c *fakeConn) chunk(line, answer string) bool {
	f := strings.Fields(line)
	n, err := strconv.Atoi(f[1])
	if err != nil || len(f) != 3 || f[2] != "LAST" {
		return c.say("501 5.5.4 what")
	}
	if c.s.onData != nil {
		c.s.onData()
	}
	limit := n
	if c.s.cut > 0 {
		limit = min(n, c.s.cut)
	}
	b := make([]byte, limit)
	if _, err := io.ReadFull(c.r, b); err != nil || limit < n {
		c.s.set(func() { c.s.truncated++ })
		return false
	}
	if answer != "" {
		return c.say(answer)
	}
	if len(c.mail.rcpts) == 0 {
		return c.say("503 5.5.1 no valid recipients")
	}
	c.mail.data = string(b)
	return c.took()
}

func (c *fakeConn) auth(line, answer string) bool {
	if answer != "" {
		return c.say(answer)
	}
	f := strings.Fields(line)
	ok := false
	switch f[1] {
	case "PLAIN":
		raw, _ := base64.StdEncoding.DecodeString(f[2])
		ok = string(raw) == "\x00"+c.s.user+"\x00"+secret
	case "LOGIN":
		ok = c.ask("VXNlcm5hbWU6") == c.s.user && c.ask("UGFzc3dvcmQ6") == secret
	default:
		ok = c.scram(f[1], f[2])
	}
	if !ok {
		return c.say("535 5.7.8 authentication failed")
	}
	return c.say("235 2.7.0 welcome")
}

func (c *fakeConn) ask(challenge string) string {
	if !c.say("334 " + challenge) {
		return ""
	}
	line, _ := c.r.ReadString('\n')
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	return string(raw)
}

func (c *fakeConn) scram(name, first string) bool {
	hash := scram.SHA1
	if strings.HasPrefix(name, "SCRAM-SHA-256") {
		hash = scram.SHA256
	}
	server, _ := hash.NewServer(func(user string) (scram.StoredCredentials, error) {
		client, _ := hash.NewClient(c.s.user, secret, "")
		return client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "0123456789", Iters: 4096})
	})
	conv := server.NewConversation()
	if tc, ok := c.nc.(*tls.Conn); ok && strings.HasSuffix(name, "-PLUS") {
		state := tc.ConnectionState()
		bind := scram.NewTLSServerEndpointBinding
		own, _ := x509.ParseCertificate(c.s.tls.Certificates[0].Certificate[0])
		state.PeerCertificates = []*x509.Certificate{own} // as the client sees it
		if state.Version == tls.VersionTLS13 {
			bind = scram.NewTLSExporterBinding
		}
		cb, err := bind(&state)
		if err != nil {
			return false
		}
		conv = server.NewConversationWithChannelBinding(cb)
	}
	raw, _ := base64.StdEncoding.DecodeString(first)
	say, err := conv.Step(string(raw))
	if err != nil {
		return false
	}
	say, err = conv.Step(c.ask(encode64(say)))
	if err != nil || !conv.Valid() {
		return false
	}
	if c.s.lie {
		say = "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	}
	if c.s.mute {
		return true
	}
	return c.ask(encode64(say)) == ""
}
