package recipients

import (
	"bufio"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// ldapProxy stands before slapd and plays the domain controller: it answers the questions that only Active Directory knows,
// such as the number of the last change. Without an upstream every answer is scripted. It can break off in the middle of a list.
type ldapProxy struct {
	addr     string
	upstream string

	mu         sync.Mutex
	usn        int
	invocation string
	// reply answers a search in place of the upstream; nil: not scripted.
	reply func(base, filter string, attrs []string, paging *ldap.ControlPaging) *reply

	entries  atomic.Int64 // that were passed on
	searches atomic.Int64
	// breakAt is after how many entries breaks is called; 0: never.
	breakAt atomic.Int64
	breaks  func()
}

type reply struct {
	entries   []*ldap.Entry
	referrals []string
	code      uint16
	cookie    string
}

func startLDAPProxy(t testing.TB, upstream string) *ldapProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &ldapProxy{addr: l.Addr().String(), upstream: upstream, usn: 2000, invocation: "0123456789abcdef"}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *ldapProxy) serve(client net.Conn) {
	defer client.Close()
	var write sync.Mutex
	send := func(packet *ber.Packet) error {
		write.Lock()
		defer write.Unlock()
		_, err := client.Write(packet.Bytes())
		return err
	}
	var up net.Conn
	if p.upstream != "" {
		var err error
		if up, err = net.Dial("tcp", p.upstream); err != nil {
			return
		}
		defer up.Close()
		go func() {
			defer client.Close()
			p.answers(up, send)
		}()
	}
	in := bufio.NewReader(client)
	for {
		packet, err := ber.ReadPacket(in)
		if err != nil {
			return
		}
		if answers := p.handle(packet); answers != nil {
			for _, a := range answers {
				if send(a) != nil {
					return
				}
			}
			continue
		}
		if up == nil {
			return
		}
		if _, err := up.Write(packet.Bytes()); err != nil {
			return
		}
	}
}

func (p *ldapProxy) answers(up net.Conn, send func(*ber.Packet) error) {
	out := bufio.NewReader(up)
	for {
		packet, err := ber.ReadPacket(out)
		if err != nil {
			return
		}
		if len(packet.Children) > 1 && packet.Children[1].Tag == ldap.ApplicationSearchResultEntry {
			if n := p.entries.Add(1); n == p.breakAt.Load() {
				p.breaks()
			}
		}
		if send(packet) != nil {
			return
		}
	}
}

// handle answers what the upstream cannot, nil when it is to be passed on.
func (p *ldapProxy) handle(packet *ber.Packet) []*ber.Packet {
	id, op := packet.Children[0].Value.(int64), packet.Children[1]
	if op.Tag == ldap.ApplicationBindRequest && p.upstream == "" {
		return []*ber.Packet{result(id, ldap.ApplicationBindResponse, 0, nil)}
	}
	if op.Tag != ldap.ApplicationSearchRequest {
		return nil
	}
	p.searches.Add(1)
	base, _ := op.Children[0].Value.(string)
	filter, err := ldap.DecompileFilter(op.Children[6])
	if err != nil {
		filter = err.Error()
	}
	var attrs []string
	for _, a := range op.Children[7].Children {
		attrs = append(attrs, a.Value.(string))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var r *reply
	switch {
	case base == "":
		r = &reply{entries: []*ldap.Entry{ldap.NewEntry("", map[string][]string{
			"highestCommittedUSN":   {strconv.Itoa(p.usn)},
			"dsServiceName":         {"CN=NTDS Settings,CN=DC1"},
			"defaultNamingContext":  {"DC=example,DC=jp"},
			"supportedCapabilities": {"1.2.840.113556.1.4.800"},
			"supportedControl":      {ldap.ControlTypePaging, ldap.ControlTypeMicrosoftShowDeleted},
		})}}
	case base == "CN=NTDS Settings,CN=DC1":
		r = &reply{entries: []*ldap.Entry{ldap.NewEntry(base, map[string][]string{"invocationId": {p.invocation}})}}
	case p.reply != nil:
		r = p.reply(base, filter, attrs, pagingOf(packet))
	}
	if r == nil {
		return nil
	}
	return r.packets(id)
}

func pagingOf(packet *ber.Packet) *ldap.ControlPaging {
	if len(packet.Children) < 3 {
		return nil
	}
	for _, c := range packet.Children[2].Children {
		if decoded, err := ldap.DecodeControl(c); err == nil {
			if paging, ok := decoded.(*ldap.ControlPaging); ok {
				return paging
			}
		}
	}
	return nil
}

func (r *reply) packets(id int64) []*ber.Packet {
	var list []*ber.Packet
	for _, e := range r.entries {
		op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
		op.AppendChild(octets(e.DN))
		attrs := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
		for _, a := range e.Attributes {
			seq := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
			seq.AppendChild(octets(a.Name))
			set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
			for _, v := range a.Values {
				set.AppendChild(octets(v))
			}
			seq.AppendChild(set)
			attrs.AppendChild(seq)
		}
		op.AppendChild(attrs)
		list = append(list, envelope(id, op))
	}
	for _, ref := range r.referrals {
		op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultReference, nil, "")
		op.AppendChild(octets(ref))
		list = append(list, envelope(id, op))
	}
	var paging *ldap.ControlPaging
	if r.cookie != "" {
		paging = ldap.NewControlPaging(0)
		paging.SetCookie([]byte(r.cookie))
	}
	return append(list, result(id, ldap.ApplicationSearchResultDone, r.code, paging))
}

func result(id int64, tag ber.Tag, code uint16, paging *ldap.ControlPaging) *ber.Packet {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, uint64(code), ""))
	op.AppendChild(octets(""))
	op.AppendChild(octets(""))
	e := envelope(id, op)
	if paging != nil {
		controls := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		controls.AppendChild(paging.Encode())
		e.AppendChild(controls)
	}
	return e
}

func envelope(id int64, op *ber.Packet) *ber.Packet {
	e := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	e.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	e.AppendChild(op)
	return e
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}
