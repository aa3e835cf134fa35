# For Dovecot (Pigeonhole), as a script that runs before those of people:
#
#   plugin {
#     sieve_before = /etc/dovecot/released.sieve
#   }
#   protocol lmtp {
#     mail_plugins = $mail_plugins sieve
#   }
#
# A mail that somebody has released from Sekimori's quarantine goes to the inbox, although a later script would file it elsewhere.
# Put the content of quarantine.mark.token_file in place of TOKEN, let only the mail server read this file (mode 0640), and change
# both from time to time: whoever has a released mail can read the token. It is worth something only where mail comes in by way of
# Sekimori alone, which takes such fields of others away.
require ["fileinto"];

if header :is "X-Sekimori-Token" "TOKEN" {
    fileinto "INBOX";
    stop;
}
