package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is one real server that can be killed, stopped and started again. It leads a process group of its own, so that a
// signal reaches its children as well.
type process struct {
	name string
	addr string // where it listens once it is ready; empty: not asked
	cmd  func() *exec.Cmd
	log  string // file that takes what it prints

	mu      sync.Mutex
	running *exec.Cmd
	done    chan struct{}
	stopped bool
}

// start runs it and waits until it listens.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended by itself: %s; see %s", p.name, p.running.ProcessState, p.log)
		default:
			return nil
		}
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := p.cmd()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	p.running, p.done, p.stopped = cmd, done, false
	return p.ready(done)
}

func (p *process) ready(done chan struct{}) error {
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", p.addr, time.Second)
		if err == nil {
			c.Close()
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("%s ended before it listened; see %s", p.name, p.log)
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s does not listen: %w; see %s", p.name, err, p.log)
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	if p.running != nil {
		_ = syscall.Kill(-p.running.Process.Pid, s)
	}
}

// kill ends it with SIGKILL. One that had ended by itself stays as it is: start says so.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return
	}
	select {
	case <-p.done:
		return
	default:
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	p.running = nil
}

// pause and resume are SIGSTOP and SIGCONT.
func (p *process) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signal(syscall.SIGSTOP)
	p.stopped = true
}

func (p *process) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signal(syscall.SIGCONT)
	p.stopped = false
}

// end asks it to end with SIGTERM and returns its exit code, -1 when it had to be killed.
func (p *process) end(within time.Duration) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return 0
	}
	p.signal(syscall.SIGCONT)
	_ = p.running.Process.Signal(syscall.SIGTERM)
	code := -1
	select {
	case <-p.done:
		code = p.running.ProcessState.ExitCode()
	case <-time.After(within):
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	p.running = nil
	return code
}

// freePort returns a port of loopback that nobody listens on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
