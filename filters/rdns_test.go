package filters

import (
	"net/netip"
	"testing"
)

func TestGenericNames(t *testing.T) {
	for _, c := range []struct{ name, addr, want string }{
		// names of mail servers, those of bulk senders with their address in them among them
		{"mx.example.jp", "192.0.2.1", ""},
		{"mail1.srv1.example.jp", "192.1.1.1", ""},
		{"mail-lf1-f54.google.com", "209.85.167.54", ""},
		{"a8-31.smtp-out.amazonses.com", "54.240.8.31", ""},
		{"mta-192-0-2-1.sparkpostmail.com", "192.0.2.1", ""},
		{"mail-dm6nam11on2084.outbound.protection.outlook.com", "40.107.223.84", ""},
		{"o1.ptr1234.sendgrid.net", "167.89.1.2", ""},
		{"static.example.com", "192.0.2.1", ""},
		{"example.ne.jp", "192.0.2.1", ""},
		{"pool.example.com", "192.0.2.1", ""},
		// lines in Japan
		{"p1234567-ipngn100101osakachuo.osaka.ocn.ne.jp", "153.160.20.30", "provider"},
		{"p123-ipbf1307marunouchi.tokyo.ocn.ne.jp", "153.160.20.30", "provider"},
		{"p5b12ab.tkyoea00.ap.so-net.ne.jp", "219.1.2.3", "provider"},
		{"FLH1Aab123.tky.mesh.ad.jp", "219.1.2.3", "provider"},
		{"softbank126012034056.bbtec.net", "126.12.34.56", "provider"},
		{"KD106130123045.ppp-bb.dion.ne.jp", "106.130.123.45", "provider"},
		{"i60-35-1-2.s02.a013.ap.plala.or.jp", "60.35.1.2", "provider"},
		{"zaqdb73c2a1.rev.zaq.ne.jp", "219.115.194.161", "provider"},
		{"58-190-1-2f1.hyg1.eonet.ne.jp", "58.190.1.2", "address"},
		{"h219-110-1-2.catv02.itscom.jp", "219.110.1.2", "address"},
		{"ntkngw123456.kngw.nt.ngn.ppp.infoweb.ne.jp", "219.1.2.3", "provider"},
		{"f123056.dynamic.ppp.asahi-net.or.jp", "219.1.2.3", "provider"},
		{"fpa446e0c5.aicb121.ap.nuro.jp", "164.70.224.197", "provider"},
		{"sp1-75-1-2.msb.spmode.ne.jp", "1.75.1.2", "provider"},
		{"mail.plala.or.jp", "60.36.166.1", ""},
		{"mail.ocn.ne.jp", "153.149.1.1", ""},
		// elsewhere
		{"1-2-0-192.dsl.example.net", "192.0.2.1", "dynamic"},
		{"ip-192-0-2-1.example.net", "192.0.2.1", "address"},
		{"1.2.0.192.rev.example.net", "192.0.2.1", "address"},
		{"ec2-54-1-2-3.compute-1.amazonaws.com", "54.1.2.3", "address"},
		{"c0000201.example.net", "192.0.2.1", "address"},
		{"host192000002001.example.net", "192.0.2.1", "address"},
		{"dhcp-17.campus.example.edu", "192.0.2.1", "dynamic"},
		{"cpe-2-1.example.com", "192.0.2.1", "address"},
		{"mail.dyn.example.com", "192.0.2.1", "dynamic"},
	} {
		if got := (genericNames{}).pattern(hostKey(c.name), netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%s at %s: %q, want %q", c.name, c.addr, got, c.want)
		}
	}
	g := genericNames{more: []string{"isp.example"}, not: []string{"good.isp.example"}}
	for name, want := range map[string]string{"a.isp.example": "provider", "dsl-1.good.isp.example": "", "misp.example": ""} {
		if got := g.pattern(name, netip.MustParseAddr("192.0.2.1")); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestHeloAddress(t *testing.T) {
	for _, c := range []struct {
		in, addr  string
		bracketed bool
	}{
		{"[192.0.2.1]", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.1", false},
		{"[ipv6:2001:db8::1]", "2001:db8::1", true},
		{"2001:db8::1", "2001:db8::1", false},
		{"[2001:db8::1]", "2001:db8::1", true},
		{"[mx.example]", "", true},
		{"mx.example", "", false},
	} {
		addr, bracketed, ok := heloAddress(c.in)
		if ok != (c.addr != "") || ok && (addr != netip.MustParseAddr(c.addr) || bracketed != c.bracketed) {
			t.Errorf("%s: %v %v %v", c.in, addr, bracketed, ok)
		}
	}
}
