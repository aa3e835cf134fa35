package text

import "strings"

// Texts of what an administrator should know at the moment, by kind: .is says what is wrong, {about} being what it is about; .do says
// what that means for the mail and what to do. The words of the program that failed stand beside them and are not translated.
var warningTexts = []Entry{
	{"warning.backend.is", "バックエンド {about} がメールを受け取りません", "The backend {about} does not take mail"},
	{
		"warning.backend.do",
		"受け付けたメールは失われません。このサーバーのスプールで待ち、バックエンドが復旧すると自動的に配送されます（on_backend_down = \"defer\" のドメインでは、送信元に再送を求めます）。バックエンドが動いていること、このサーバーから接続できることをご確認ください。待っているメール：sekimori queue list --backend {about}",
		"No mail is lost: it waits in the spool here and is delivered by itself when the backend is back (for a domain with on_backend_down = \"defer\" senders are asked to come again). See whether the backend runs and can be reached from this host. What waits: sekimori queue list --backend {about}",
	},
	{"warning.connections.is", "バックエンド {about} が接続を制限しています", "The backend {about} turns connections away"},
	{
		"warning.connections.do", "接続数を自動的に減らして配送を続けています。続くときは、バックエンドの接続数の上限を増やすか、max_connections を小さくしてください。",
		"Delivery goes on over fewer connections. If it stays so, raise the backend's limit for this host or lower max_connections.",
	},
	{"warning.tls.is", "バックエンド {about} との暗号化に使うファイルを読み込めません", "The TLS files for the backend {about} do not load"},
	{"warning.tls.do", "以前に読み込んだ証明書で配送を続けています。ファイルを直してください。自動的に読み直します。", "Delivery goes on with the certificates read before. Mend the files; they are read again by themselves."},
	{"warning.client.is", "バックエンド {about} に送信元のアドレスを伝えられません", "The backend {about} is not told who the client is"},
	{"warning.client.do", "メールは配送されています。バックエンドで、このサーバーに XCLIENT または XFORWARD を許可してください。", "Mail is delivered. Allow XCLIENT or XFORWARD to this host at the backend."},
	{"warning.redis.is", "Redisが応答しません", "Redis does not answer"},
	{
		"warning.redis.do", "メールの受信と配送は続いています。流量制限は働かず、隔離するメールはこのサーバーのスプールに置き、復旧すると自動的に移します。Redisが動いていること、このサーバーから接続できることをご確認ください。",
		"Mail is still taken and delivered. Rate limits are not looked at; mail to be held waits in the spool here and moves by itself when Redis is back. See whether Redis runs and can be reached from this host.",
	},
	{"warning.redis.full.is", "保存先（Redisまたは内蔵の保存先）の容量がいっぱいです", "The store (Redis, or the embedded one) has no room for more"},
	{
		"warning.redis.full.do", "メールの受信と配送は続いています。学習と集計は行われず、学習用アドレスへのメールには一時的なエラー（452）を返しています。Redisの maxmemory を増やすか、不要な隔離メールを削除してください。空きができれば自動的に再開します。",
		"Mail is taken and delivered. Nothing is learned or counted, and mail to learning addresses is answered with a temporary error (452). Raise maxmemory of Redis, or delete held mail that is not needed; it goes on by itself when there is room.",
	},
	{"warning.store.is", "内蔵の保存先（embedded store）に書き込めません", "The embedded store cannot be written"},
	{
		"warning.store.do", "隔離するメールは、復旧するまでこのサーバーのスプールに置きます。データディレクトリのディスクの空きと状態をご確認のうえ、サーバーを再起動してください。",
		"Mail to be held waits in the spool until it works again. Look at the disk of data_dir and restart the server.",
	},
	{"warning.bayes.is", "学習フィルターの判定が、利用者の判断と食い違っています", "People contradict the Bayesian check"},
	{
		"warning.bayes.do", "学習フィルター（BAYES_SPAM、BAYES_HAM）の重みを、すべてのサーバーで半分にしました。隔離されたメールを sekimori quarantine list で確認し、誤って学習した内容があれば sekimori unlearn で取り消してください。食い違いの割合が限度の半分を下回ると、自動的に元に戻ります。すぐに戻すには：sekimori bayes drift --clear",
		"BAYES_SPAM and BAYES_HAM weigh half on all hosts. Look at what is held (sekimori quarantine list) and take away what was learned wrongly (sekimori unlearn). The weight comes back by itself when the rate has fallen below half of the limit, or at once with: sekimori bayes drift --clear",
	},
	{"warning.learning.is", "学習フォルダー {about} を読み込めません", "The folder {about} is not learned from"},
	{"warning.learning.do", "判定には影響しません。フォルダーがあること、Sekimoriが読み取れることをご確認ください。自動的に読み直します。", "Mail is judged as before. See whether the folder is there and Sekimori may read it; it is tried again by itself."},
	{"warning.dns.is", "DNSサーバー {about} が応答しません", "The DNS server {about} does not answer"},
	{
		"warning.dns.do", "ほかのDNSサーバーがあれば、そちらに問い合わせています。どのサーバーも応答しない間、DNSを使う検査は「確認できず」となり、判定には使いません（[degraded] の設定によります）。",
		"The other DNS servers are asked, if there are any. While none answers, checks that ask DNS are not looked at and weigh nothing (see [degraded]).",
	},
	{"warning.ledger.is", "受け付けたメールの一部が、台帳どおりの場所に見つかりません", "Acknowledged mail is not where the ledger says"},
	{
		"warning.ledger.do", "メールが失われた可能性があります。sekimori queue check を実行し、一件ごとに示される対応に従ってください。",
		"Mail may be missing. Run sekimori queue check: it says for each mail what to do.",
	},
	{"warning.spool.is", "空き容量が足りず、新しいメールを受け付けていません", "There is no room for new mail"},
	{
		"warning.spool.do", "送信元には一時的なエラー（452）を返しており、空きができれば再送されます。データディレクトリのディスクの空きを増やすか、スプールの上限（[relay]）を見直してください。",
		"Senders are answered 452 and come again. Make room on the disk of data_dir, or raise the limits of the spool ([relay]).",
	},
	{"warning.config.is", "ディスク上の設定は使われていません", "The configuration on the disk is not in force"},
	{"warning.config.do", "以前の設定で動き続けています。sekimori check を実行して誤りを直してください。保存すると自動的に読み直します。", "The server goes on with the one from before. Run sekimori check and mend the errors; it is read again when it is saved."},
	{"warning.journal.is", "保管先（ジャーナル）がメールの写しを受け取りませんでした", "The archive did not take copies of mail"},
	{"warning.journal.do", "写しは配送不能として隔離してあります。保管先を直したあと、sekimori quarantine list で確認し、受信させてください。", "They are held as undeliverable. Mend the archive, then find them with sekimori quarantine list and release them."},
	{"warning.full.is", "隔離の上限に達しました", "The quarantine is full"},
	{"warning.full.do", "隔離すべきメールには一時的なエラーを返しています。不要なメールを削除するか、[quarantine] の quota を増やしてください。", "Mail that should be held is answered with a temporary error. Delete what is not needed, or raise quota in [quarantine]."},
	{"warning.quarantine.is", "隔離の定期処理（{about}）が終わりません", "A task of the quarantine does not finish ({about})"},
	{"warning.quarantine.do", "自動的に繰り返し試みます。続くときは、Redisとディスクの状態、ログをご確認ください。", "It is tried again by itself. If it stays so, look at Redis, the disk and the log."},
	{"warning.callout.is", "{about} の宛先が実在するかどうかを、バックエンドに確認できません", "The backend of {about} cannot be asked which recipients exist"},
	{"warning.callout.do", "すべての宛先を受け付けています。宛先の一覧（file:、ldap:、sql:）を設定することをお勧めします。", "Every recipient is taken. Give it a list of recipients instead (file:, ldap: or sql:)."},
	{"warning.values.is", "宛先の一覧（{about}）に、読み取れない値があります", "Some values of the recipients in {about} are not understood"},
	{"warning.values.do", "その値を除いて使っています。sekimori recipients list で確認できます。", "They are left out. See sekimori recipients list."},
	{"warning.recipients.is", "宛先の一覧（{about}）を更新できません", "The recipients of {about} cannot be fetched"},
	{
		"warning.recipients.do", "保存してある一覧で判定を続け、古くなりすぎたときは、一覧にない宛先に一時的なエラーを返します。接続先をご確認ください。詳しくは sekimori recipients list。",
		"The copy on the disk answers; when it is too old, unknown recipients are told to come again. See whether the source can be reached; more: sekimori recipients list.",
	},
	{"warning.geoip.is", "GeoIPのデータベースを読み込めません（{about}）", "A GeoIP database does not load ({about})"},
	{"warning.geoip.do", "以前に読み込んだものを使い続けています。ファイルを入れ直してください。自動的に読み直します。", "The one from before stays in use. Put a good file there; it is read again by itself."},
	{"warning.dnsbl.is", "ブロックリスト {about} への問い合わせを休止しています", "The block list {about} is suspended"},
	{"warning.dnsbl.do", "ほかの検査は続いています。正しく応答するようになれば自動的に再開します。続くときは、利用条件とDNSサーバーをご確認ください。", "The other checks go on. It is asked again by itself once it answers as it should. If it stays so, look at its terms of use and at your DNS server."},
	{"warning.quarantine.late.is", "お知らせできていない隔離メールを、保存期間を過ぎても保管しています", "Held mail is kept beyond its time, because people were not told of it"},
	{
		"warning.quarantine.late.do", "お知らせメールが届いていない可能性があります。お知らせの設定と配送をご確認ください（sekimori digest）。お知らせできないままでも、本来の保存期間と同じ長さ（最長29日）が過ぎると削除されます。",
		"Digests may not arrive. Look at the settings of digests and at their delivery (sekimori digest). Untold, such mail expires all the same after its retention once more, 29 days at the most.",
	},
	{"warning.quarantine.reserve.is", "隔離の容量が残り少なくなっています", "The quarantine is nearly full"},
	{
		"warning.quarantine.reserve.do", "残りの一割は、保管の少ない宛先のために取ってあります。すでに多くを保管している宛先へのメールは、送信元に再送を求めています。不要な隔離メールを削除するか、quarantine.quota を増やしてください。",
		"The last tenth is for recipients who have little in it; senders of mail to those who have much are asked to come again. Delete held mail that is not needed, or raise quarantine.quota.",
	},
	{"warning.quarantine.domain.is", "{about} の隔離の容量に達しました", "The quarantine's quota of {about} is reached"},
	{
		"warning.quarantine.domain.do", "このドメイン宛てだけの隔離すべきメールは、送信元に再送を求めています。ほかの宛先にも届くメールは、quota の2倍になるまで引き続き隔離します。不要な隔離メールを削除するか、[[quarantine.keep]] の quota を増やしてください。",
		"Senders of mail to be held for this domain alone are asked to come again; what others get as well is still held, up to twice the quota. Delete held mail that is not needed, or raise the quota in [[quarantine.keep]].",
	},
	{"warning.quarantine.key.is", "暗号化された隔離メールを読むための鍵がありません", "Held mail cannot be read: its key is missing"},
	{
		"warning.quarantine.key.do", "何も削除していません。quarantine.encryption_key_file に以前の鍵を戻し、サーバーを再起動してください。",
		"Nothing is deleted. Put the old key back into quarantine.encryption_key_file and restart the server.",
	},
	{"warning.rules.is", "ルール {about} の判定に時間がかかりすぎています", "The rule {about} takes too long"},
	{
		"warning.rules.do",
		"このルールは、ルールが読み直されるまで判定に使われません（ほかのルールはそのまま働いています）。本文を調べる条件のパターンを短くするか、いくつかのルールに分けてください。保存すると自動的に読み直します。",
		"It is not judged until the rules are loaded anew; all others are. Shorten its patterns, or make several rules of it; the rules are read again when they are saved.",
	},
	{"warning.other.is", "確認が必要です（{about}）", "Something needs a look ({about})"},
	{"warning.other.do", "詳しくは、ログをご覧ください。", "See the log."},
}

// Warning takes the cause of a warning apart: the kind, whose texts are warning.KIND.is and warning.KIND.do, and what it is about.
func Warning(cause string) (kind, about string) {
	if rest, ok := strings.CutPrefix(cause, "backend "); ok {
		url, what, _ := strings.Cut(rest, " ")
		kinds := map[string]string{"": "backend", "connections": "connections", "tls": "tls", "XCLIENT": "client", "XFORWARD": "client"}
		if kind, ok := kinds[what]; ok {
			return kind, url
		}
		return "other", cause
	}
	head, rest, _ := strings.Cut(cause, ".")
	switch {
	case cause == "quarantine.full":
		return "full", ""
	case cause == "quarantine.late", cause == "quarantine.reserve", cause == "quarantine.key":
		return "quarantine." + rest, ""
	case head == "quarantine" && strings.HasPrefix(rest, "full."):
		return "quarantine.domain", strings.TrimPrefix(rest, "full.")
	case cause == "redis", cause == "redis.full", cause == "store", cause == "ledger", cause == "config", cause == "journal":
		return cause, ""
	case cause == "rules wait":
		return "rulewait", ""
	case cause == "history.twin":
		return "twin", ""
	case cause == "rules nodes":
		return "rulenodes", ""
	case cause == "rules ending":
		return "ruleending", ""
	case cause == "policy mode":
		return "policymode", ""
	case head == "retreat" && rest != "":
		return head, rest
	case cause == "spool.full":
		return "spool", ""
	case head == "recipients" && strings.HasPrefix(rest, "callout."):
		return "callout", strings.TrimPrefix(rest, "callout.")
	case head == "recipients" && strings.HasSuffix(rest, ".values"):
		return "values", strings.TrimSuffix(rest, ".values")
	case rest != "" && (head == "recipients" || head == "dns" || head == "quarantine" || head == "geoip" || head == "dnsbl" || head == "rules"):
		return head, rest
	}
	return "other", cause
}
