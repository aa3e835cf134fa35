package relay

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"sekimori/internal/config"
)

// crowdTries is how often a delivery tries again after the server has said that there are too many connections.
const crowdTries = 5

// is421 reports whether the server said 421: it closes, most often because there are too many connections (Exchange says
// 421 4.3.2).
func is421(err error) bool {
	var step *stepError
	return errors.As(err, &step) && step.reply.code == 421
}

// said421 reports whether a connection that was new was turned away at the beginning of a transaction.
func (x *exchange) said421() bool {
	var step *stepError
	return errors.As(x.err, &step) && step.reply.code == 421 && (step.step == "MAIL" || step.step == "RSET")
}

func isLogin(err error) bool {
	var l *loginError
	return errors.As(err, &l)
}

// refusedLogin reports whether a login did not come about, for another reason than that the server is closing.
func refusedLogin(err error) bool { return isLogin(err) && !is421(err) }

// crowded notes that the server has turned away a connection that was begun in that era of the pool, and reports whether there are
// other connections, so that waiting for one of them makes sense.
func (b *smtpBackend) crowded(era int32) bool {
	first, others := b.pool.shrink(era)
	if first {
		b.count.Shrunk.Add(1)
		b.log.Warn("relay: the backend takes fewer connections than max_connections; for now it gets half as many",
			"backend", b.name(), "max_connections", b.pool.max)
		b.warn("backend "+b.name()+" connections", "turns connections away (421) before max_connections is reached; fewer are made for now")
	}
	return others > 0
}

// reap is called once a second.
func (b *smtpBackend) reap(now time.Time) {
	b.pool.reap(now)
	if b.pool.grow(now) {
		b.log.Info("relay: the backend gets max_connections again", "backend", b.name())
		b.warn("backend "+b.name()+" connections", "")
	}
	if now.Unix()%reloadEvery == 0 {
		b.reload()
	}
}

// reloadEvery is the time in seconds between looks at the files of TLS and login.
const reloadEvery = 10

// reload reads the files that the backend's tls and auth tables name, when they have changed. What does not load leaves the old
// in force. New connections use it.
func (b *smtpBackend) reload() {
	old := b.tls.Load()
	if changed(old.stamps) {
		p, err := newTLSPolicy(b.conf.TLS, b.host)
		if err == nil {
			b.tls.Store(&p)
			b.pool.flush()
			b.log.Info("relay: the certificate files of a backend were read again", "backend", b.name())
			b.warn("backend "+b.name()+" tls", "")
		} else {
			keep := *old
			keep.stamps = stampsOf(old.stamps) // complained of once
			b.tls.Store(&keep)
			b.log.Error("relay: the certificate files of a backend do not load; the old ones stay in force", "backend", b.name(), "error", err)
			b.warn("backend "+b.name()+" tls", "certificate files that have changed do not load, the old ones stay in force: "+err.Error())
		}
	}
	b.relogin()
}

func stampsOf(list []stamp) []stamp {
	all := make([]stamp, len(list))
	for i, s := range list {
		all[i] = stampOf(s.file)
	}
	return all
}

// relogin reads the password again.
func (b *smtpBackend) relogin() {
	a := b.auth.Load()
	if a == nil || b.conf.Auth.PasswordFile == "" {
		return
	}
	now := stampOf(b.conf.Auth.PasswordFile)
	if a.stamp == now {
		return
	}
	c := b.conf.Auth
	secret, err := config.ReadSecret(c.PasswordFile)
	if err != nil {
		secret = config.Secret(a.password)
		b.log.Error("relay: the password of a backend cannot be read; the old one stays in use", "backend", b.name(), "error", err)
	}
	c.Password = secret
	fresh := newAuthenticator(c, b.network == "unix")
	fresh.stamp = now
	b.auth.Store(fresh)
}

// peer is the address that a connection leads to; the zero value for a socket that has none.
func peer(nc net.Conn) netip.AddrPort {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort()
	}
	return netip.AddrPort{}
}

// quiet ends the warnings about a backend that is not one any more.
func (r *Relay) quiet(b backend) {
	for _, about := range []string{"", " connections", " tls", " XCLIENT", " XFORWARD"} {
		r.o.Warn("backend "+b.name()+about, "")
	}
}
