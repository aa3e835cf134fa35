package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
)

const postfixMaster = `127.0.0.1:%d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 10 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
myhostname = postfix.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
local_recipient_maps =
virtual_mailbox_domains = postfix.test
virtual_mailbox_base = %[1]s/box
virtual_mailbox_maps = static:all/Maildir/
virtual_uid_maps = static:%[2]s
virtual_gid_maps = static:%[3]s
virtual_minimum_uid = 1
message_size_limit = 60000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
alias_maps =
alias_database =
minimal_backoff_time = 5s
maximal_backoff_time = 10s
queue_run_delay = 5s
`

// openPostfix describes a real Postfix in a private folder. Its master is run directly and in the foreground, so that killing
// the group kills all of it.
func (w *world) openPostfix() error {
	bin, err := exec.LookPath("postfix")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/postfix"); err != nil {
			return w.missing("Postfix: " + err.Error())
		}
	}
	u, err := user.Lookup("postfix")
	if err != nil || os.Getuid() != 0 {
		return w.missing("Postfix: it needs root and a user postfix")
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	dir := filepath.Join(w.dir, "postfix")
	for _, d := range []string{"etc", "spool", "data", "box"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{"master.cf": fmt.Sprintf(postfixMaster, port), "main.cf": fmt.Sprintf(postfixMain, dir, u.Uid, u.Gid)}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	for _, d := range []string{"data", "box"} {
		if out, err := exec.Command("chown", "postfix", filepath.Join(dir, d)).CombinedOutput(); err != nil {
			return fmt.Errorf("chown: %w: %s", err, out)
		}
	}
	etc := filepath.Join(dir, "etc")
	if out, err := exec.Command(bin, "-c", etc, "check").CombinedOutput(); err != nil {
		return fmt.Errorf("postfix check: %w: %s", err, out)
	}
	daemons, err := exec.Command(filepath.Join(filepath.Dir(bin), "postconf"), "-c", etc, "-h", "daemon_directory").Output()
	if err != nil {
		return fmt.Errorf("postconf: %w", err)
	}
	master := filepath.Join(strings.TrimSpace(string(daemons)), "master")
	w.postfix = &process{
		name: "postfix", addr: fmt.Sprintf("127.0.0.1:%d", port), log: filepath.Join(w.dir, "postfix.log"),
		cmd: func() *exec.Cmd { return exec.Command(master, "-d", "-c", etc) },
	}
	return nil
}
