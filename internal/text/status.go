package text

// Texts of the status page.
var statusTexts = []Entry{
	{"status.title", "関守（Sekimori）の状態", "Sekimori: status"},
	{"status.ready", "メールを受け付けています", "Taking mail"},
	{"status.look", "メールを受け付けていますが、確認が必要なことがあります", "Taking mail, but something needs a look"},
	{"status.full", "新しいメールを受け付けていません（空き容量の不足）", "Not taking new mail: there is no room for it"},
	{"status.draining", "停止処理中です。新しいメールは受け付けていません", "Stopping: not taking new mail"},
	{"status.warnings", "確認が必要なこと", "Needs a look"},
	{"status.detail", "詳細", "In detail"},
	{"status.numbers", "現在の状況", "At present"},
	{"status.host", "ホスト", "Host"},
	{"status.version", "バージョン", "Version"},
	{"status.since", "起動した日時", "Running since"},
	{"status.listen", "受け付け先", "Takes mail at"},
	{"status.queued", "配送待ちのメール", "Mail in the queue"},
	{"status.inflight", "うち、バックエンドの応答待ち", "of these, the backend's answer is awaited"},
	{"status.held", "隔離中のメール（処理から1時間以内のものを含む）", "Held mail (decided ones included for an hour)"},
	{"status.pending", "うち、このサーバーのスプールにあるもの", "held in the spool of this host"},
	{"status.unknown", "わかりません（保存先が応答しません）", "not known: the store does not answer"},
	{"status.backends", "バックエンド", "Backends"},
	{"status.up", "正常", "up"},
	{"status.down", "応答なし", "down"},
	{"status.off", "実行していない検査", "Checks that do not run"},
	{"status.off.why", "これらの検査は判定に使われません。設定していないだけであれば、問題はありません。", "They weigh nothing. That is fine when they are not meant to run."},
	{"status.commands", "操作は、このサーバーのコマンドで行います", "What to do is done with the commands on this host"},
	{"status.other", "English", "日本語"},
}
