package measure

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// rspamdPeer runs Rspamd with its statistics alone, and Redis for what it learns, both on sockets in the folder: nothing listens on the
// network, and nothing is asked of it.
func rspamdPeer() Peer {
	return Peer{
		// The symbol BAYES_SPAM: any part of its points.
		Name: "rspamd", Threshold: 1e-9, Packages: "rspamd redis-server", programs: []string{"rspamd", "redis-server"},
		Training: "all mails, /learnham and /learnspam; its Bayes alone", begin: startRspamd,
	}
}

// rspamdConf is what /etc/rspamd has of its statistics, and of reading mail.
const rspamdConf = `options {
  pidfile = "HOME/pid"; tempdir = "HOME"; control_socket = "HOME/control.sock mode=0600"; hs_cache_dir = "HOME/"; cache_file = "HOME/symbols.cache";
  history_file = "HOME/history"; rrd = ""; stats_file = "HOME/stats.ucl"; dynamic_conf = "HOME/dynamic";
  filters = ""; explicit_modules = [];
  dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }
  url_tld = "${SHAREDIR}/effective_tld_names.dat"; allow_raw_input = true; words_decay = 600; check_all_filters = true;
  classify_headers = ["User-Agent", "X-Mailer", "Content-Type", "X-MimeOLE"];
}
logging { type = "file"; filename = "HOME/log"; level = "warning"; }
worker "normal" { bind_socket = "HOME/scan.sock mode=0600"; count = 1; task_timeout = 60s; }
worker "controller" { bind_socket = "HOME/learn.sock mode=0600"; count = 1; secure_ip = ["127.0.0.1", "::1"]; }
classifier "bayes" {
  tokenizer { name = "osb"; }
  cache { }
  new_schema = true; store_tokens = false; signatures = false; min_tokens = 11; backend = "redis"; min_learns = 200; servers = "HOME/redis.sock";
  statfile { symbol = "BAYES_HAM"; spam = false; }
  statfile { symbol = "BAYES_SPAM"; spam = true; }
}
actions { reject = 9999; }
group "statistics" { symbols = { "BAYES_SPAM" { weight = 5.1; } "BAYES_HAM" { weight = -3.0; } } }
`

const (
	rspamdStart   = 10 * time.Minute
	longestAnswer = 4 << 20
)

// ended says of a process that it is no longer there, and why.
type ended struct{ why error }

type rspamd struct {
	home      string
	processes []*exec.Cmd
	dead      chan ended // the processes that ended
	client    http.Client
}

func startRspamd(ctx context.Context, programs []string, home string) (filter, error) {
	r := &rspamd{home: home, dead: make(chan ended, len(programs))}
	r.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, host string) (net.Conn, error) {
		name, _, _ := strings.Cut(host, ":")
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(home, name))
	}, DisableKeepAlives: true}
	conf := strings.ReplaceAll(rspamdConf, "HOME", home)
	err := os.WriteFile(filepath.Join(home, "rspamd.conf"), []byte(conf), 0o600)
	if err == nil {
		err = r.start(programs[1], "--port", "0", "--unixsocket", filepath.Join(home, "redis.sock"), "--save", "", "--appendonly", "no", "--dir", home)
	}
	if err == nil {
		err = r.wait(ctx, "redis.sock")
	}
	if err == nil {
		err = r.start(programs[0], "-f", "-i", "-c", filepath.Join(home, "rspamd.conf"))
	}
	// It compiles all names of domains before it answers.
	for _, name := range []string{"learn.sock", "scan.sock"} {
		if err == nil {
			err = r.wait(ctx, name)
		}
	}
	if err != nil {
		r.end()
		return nil, err
	}
	return r, nil
}

func (r *rspamd) start(program string, args ...string) error {
	cmd := exec.Command(program, args...) //nolint:noctx // end ends it, and waits
	owned(cmd, r.home)
	cmd.Cancel = nil
	if err := cmd.Start(); err != nil {
		return err
	}
	r.processes = append(r.processes, cmd)
	go func() {
		err := cmd.Wait()
		r.dead <- ended{fmt.Errorf("%s ended (%v)%s", filepath.Base(program), err, r.lastWords())} //nolint:errorlint // only told
	}()
	return nil
}

// lastWords is the last line of its log.
func (r *rspamd) lastWords() string {
	b, err := os.ReadFile(filepath.Join(r.home, "log"))
	if err != nil {
		return ""
	}
	b = bytes.TrimSpace(b)
	return ": " + string(b[bytes.LastIndexByte(b, '\n')+1:])
}

// wait waits until something listens on a socket.
func (r *rspamd) wait(ctx context.Context, name string) error {
	ctx, stop := context.WithTimeout(ctx, rspamdStart)
	defer stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(r.home, name))
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nothing listens at %s: %w", name, err)
		case e := <-r.dead:
			return e.why
		case <-again.C:
		}
	}
}

// end ends the processes, and those that they started, and waits for them.
func (r *rspamd) end() {
	r.client.CloseIdleConnections()
	for _, cmd := range r.processes {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // it may have ended
	}
	limit := time.After(10 * time.Second)
	for range r.processes {
		select {
		case <-r.dead:
		case <-limit:
		}
	}
	for _, cmd := range r.processes {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what did not listen
	}
}

// ask posts a mail.
func (r *rspamd) ask(ctx context.Context, socket, what, path string) (status int, body []byte, err error) {
	mail, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+socket+"/"+what, bytes.NewReader(mail))
	if err != nil {
		return 0, nil, err
	}
	a, err := r.client.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer a.Body.Close()
	body, err = io.ReadAll(io.LimitReader(a.Body, longestAnswer))
	return a.StatusCode, body, err
}

func (r *rspamd) learn(ctx context.Context, files []File) error {
	for _, f := range files {
		status, body, err := r.ask(ctx, "learn.sock", pick(f.Spam, "learnspam", "learnham"), f.Path)
		if err != nil {
			return err
		}
		// 204 and 208: too few words, and known already.
		if status != http.StatusOK && status != http.StatusNoContent && status != http.StatusAlreadyReported {
			return fmt.Errorf("learning answers %d %s", status, body)
		}
	}
	return nil
}

func (r *rspamd) done(context.Context) error { return nil }

func (r *rspamd) score(ctx context.Context, files []File) ([]float64, error) {
	var list []float64
	for _, f := range files {
		status, body, err := r.ask(ctx, "scan.sock", "checkv2", f.Path)
		if err != nil {
			return nil, err
		}
		var answer struct {
			Symbols map[string]struct {
				Score float64 `json:"score"`
			} `json:"symbols"`
		}
		if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("scanning answers %d %.200s", status, body)
		}
		list = append(list, answer.Symbols["BAYES_SPAM"].Score/5.1+answer.Symbols["BAYES_HAM"].Score/3)
	}
	return list, nil
}
