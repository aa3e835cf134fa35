package text

// Texts that pages and digests share: classes in a few words, how sure a decision is, the states of a mail.
var shownTexts = []Entry{
	{"classname.policy", "受信の方針に基づく扱い", "Mail policy"},
	{"classname.client", "登録された送信元", "Listed server"},
	{"classname.sender", "登録された差出人", "Listed sender"},
	{"classname.recipient", "宛先ごとの設定", "Recipient's settings"},
	{"classname.reputation", "迷惑メールの発信元", "Known source of spam"},
	{"classname.protocol", "通信手順の違反", "Protocol violation"},
	{"classname.ratelimit", "短時間の大量送信", "Too much mail at once"},
	{"classname.spoof", "なりすましの疑い", "Suspected forgery"},
	{"classname.spam", "迷惑メールの疑い", "Suspected spam"},
	{"classname.content", "注意の必要な内容", "Content to be careful with"},
	{"classname.malware", "有害なプログラムの疑い", "Suspected malware"},
	{"classname.refused", "拒否のかわりに隔離", "Held instead of refused"},
	{"classname.stripped", "添付ファイルを取り除く前のメール", "Whole mail"},
	{"classname.undeliverable", "届けられなかったメール", "Undeliverable"},
	{"classname.other", "確認の必要なメール", "To be looked at"},
	{"classname.unchecked", "確認できなかったメール", "Could not be checked"},

	{"sure.high", "高", "high"},
	{"sure.medium", "中", "medium"},
	{"sure.low", "低", "low"},

	{"held.held", "隔離中", "held"},
	{"held.releasing", "まもなく届きます", "about to be delivered"},
	{"held.released", "受信済み", "received"},
	{"held.deleted", "削除済み", "deleted"},
	{"held.expired", "保存期間が終わりました", "retention ended"},
}
