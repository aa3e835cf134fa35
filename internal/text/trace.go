package text

import (
	"fmt"
	"strings"
)

// traceWords is what `trace` says. The arguments stand in the same order in both languages.
var traceWords = map[string]map[Lang]string{
	"head":      {En: "%s  mail %s from %s to %s", Ja: "%s  メール %s　差出人 %s　宛先 %s"},
	"subject":   {En: "subject: %s", Ja: "件名: %s"},
	"client":    {En: "sent by %s", Ja: "送信元: %s"},
	"mail":      {En: "%s received: %s", Ja: "%s 受信: %s"},
	"decided":   {En: "%s: %s (%.1f points%s)", Ja: "%s: %s（%.1f 点%s）"},
	"rule":      {En: ", rule %s", Ja: "、ルール %s"},
	"finding":   {En: "%s %+.1f", Ja: "%s %+.1f"},
	"blind":     {En: "not looked at: %s", Ja: "調べられなかった項目: %s"},
	"rcpt":      {En: "%s recipient %s was answered: %s", Ja: "%s 宛先 %s への応答: %s"},
	"refused":   {En: "%s refused (%s: %s): %s", Ja: "%s 接続または差出人を拒否（%s: %s）: %s"},
	"times":     {En: "%s, %d times until %s", Ja: "%s、%d 回、%s まで"},
	"try":       {En: "%s delivery to %s for %s: %s %s", Ja: "%s %s への配送（宛先 %s）: %s %s"},
	"held":      {En: "%s held in the quarantine for %s", Ja: "%s 隔離しました（宛先 %s）"},
	"ended":     {En: "%s %s for %s, by %s", Ja: "%s %s（宛先 %s、操作した人: %s）"},
	"failed":    {En: "%s given up for %s: %s %s", Ja: "%s 配送を断念（宛先 %s）: %s %s"},
	"none":      {En: "nothing found on %s", Ja: "%s には該当する記録がありません"},
	"read":      {En: "understood as %s; as %s nothing was found", Ja: "%sとして検索しました（%sとしては見つかりません）"},
	"tried":     {En: "looked for as %s", Ja: "%sとして検索しました"},
	"gone":      {En: "%s was not asked: it was last heard of at %s, before the time that was asked for", Ja: "%s には問い合わせていません。最後に応答があったのは %s で、お調べの期間より前です"},
	"off":       {En: "%s keeps no history", Ja: "%s は履歴を残していません"},
	"unknown":   {En: "which other hosts there are is not known: %s; what they know is missing", Ja: "ほかのサーバーを確認できませんでした（%s）。ほかのサーバーの記録は含まれていません"},
	"stopped":   {En: "%s could not look through everything in time; a shorter period (--since) or a longer --wait helps", Ja: "%s は時間内にすべてを調べられませんでした。--since で期間を短くするか、--wait を長くしてください"},
	"cut":       {En: "%s found more than one answer holds; the oldest is missing", Ja: "%s の記録が多いため、古いものは省かれています"},
	"clock":     {En: "the clock of %s differs from that of this host by %+.0f s; its times are as it says", Ja: "%s の時計はこのサーバーと %+.0f 秒ずれています。時刻はそのサーバーの時計によります"},
	"partial":   {En: "THIS IS NOT COMPLETE: not every host has said what it knows", Ja: "この結果は不完全です。応答しなかったサーバーなどの記録が含まれていません"},
	"on":        {En: "%s [%s]", Ja: "%s［%s］"},
	"before":    {En: "%s put off before: recipient %s was answered: %s", Ja: "%s 受信前の一時拒否（宛先 %s）への応答: %s"},
	"digest":    {En: "%s the digest %s told %s of it", Ja: "%s まとめ通知 %s で %s に知らせました"},
	"digested":  {En: "%s the digest %s told %s of it; that mail: %s %s", Ja: "%s まとめ通知 %s で %s に知らせました（通知メール: %s %s）"},
	"restored":  {En: "%s held again for %s", Ja: "%s 隔離に戻しました（宛先 %s）"},
	"opened":    {En: "%s %s opened its page", Ja: "%s %s がページを開きました"},
	"taught":    {En: "%s learned by itself as %s, because other checks were sure", Ja: "%s 他の検査の結果が明らかなため、%sとして自動で学習しました"},
	"act":       {En: "%s %s (%s): %s", Ja: "%s %s（%s）: %s"},
	"until":     {En: "in the quarantine: %s; kept until %s", Ja: "隔離の状態: %s、保存期限 %s"},
	"note":      {En: "could not be looked up: %s", Ja: "調べられなかったもの: %s"},
	"networks":  {En: "networks of %s: %s", Ja: "%s のネットワーク: %s"},
	"wide":      {En: "of networks larger than a /24, and of IPv6, the last %d days were looked through", Ja: "/24 より広いネットワークと IPv6 については、直近 %d 日間を調べました"},
	"own":       {En: "%s  a mail of ours, %s", Ja: "%s  当システムが送ったメール %s"},
	"period":    {En: "searched: %s, %s to %s", Ja: "調べた範囲: %s、%s から %s まで"},
	"empty":     {En: "searched: %s, where nothing was ever recorded", Ja: "調べた範囲: %s（記録はまだありません）"},
	"lost":      {En: "%d events of that time were not kept, because the disk was too slow or full", Ja: "この期間の %d 件は、ディスクが遅いか一杯だったため記録されていません"},
	"damaged":   {En: "%d blocks of the history cannot be read", Ja: "履歴のうち %d ブロックが読めません"},
	"silent":    {En: "%s did not answer (%s); what it knows is missing", Ja: "%s は応答しませんでした（%s）。その記録は含まれていません"},
	"partner":   {En: "connections refused from the networks of %s:", Ja: "%s のネットワークからの接続のうち、拒否したもの:"},
	"nopartner": {En: "no connection was refused from the networks of %s", Ja: "%s のネットワークからの接続で、拒否したものはありません"},
	"unheard":   {En: "no network of %s is known: no mail has come from there, and DNS names none", Ja: "%s のネットワークは不明です（過去の受信記録がなく、DNS にも登録がありません）"},
	"exchange":  {En: "to go on with in Exchange (PowerShell):", Ja: "Exchange で続きを調べるには（PowerShell）:"},
	"answer":    {En: "an answer to give:", Ja: "問い合わせへの返答例:"},
	"more":      {En: "there are older ones; --limit shows more", Ja: "ほかにも古い記録があります。--limit で件数を増やせます"},

	"decided.of": {En: "%s: %s (%.1f of %.1f points%s)", Ja: "%s: %s（%.1f 点、しきい値は %.1f 点%s）"},
	"version":    {En: "judged by version %s of the rules", Ja: "判定に使ったルールの版: %s"},

	"said.delivered": {
		En: "The mail from %[1]s to %[2]s of %[3]s was delivered to your mail server.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、メールサーバーに配送済みです。",
	},
	"said.held": {
		En: "The mail from %[1]s to %[2]s of %[3]s is held in the quarantine and can be released.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、隔離しています。「受信する」を選ぶと届きます。",
	},
	"said.queued": {
		En: "The mail from %[1]s to %[2]s of %[3]s has arrived here and waits for the mail server behind; it is tried again by itself.",
		Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは受信済みで、メールサーバーへの配送を待っています。自動で再送します。",
	},
	"said.deferred": {
		En: "The mail from %[1]s to %[2]s of %[3]s was put off; the sender's server should send it again by itself.",
		Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、いったん受け取りを見合わせました。送信側のサーバーが自動で再送するはずです。",
	},
	"said.rejected": {
		En: "The mail from %[1]s to %[2]s of %[3]s was refused, and the sender's server was told so.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは受け取りを拒否し、その旨を送信側のサーバーに返しています。",
	},
	"said.deleted": {
		En: "The mail from %[1]s to %[2]s of %[3]s was held and has been deleted.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、隔離された後に削除されました。",
	},
	"said.expired": {
		En: "The mail from %[1]s to %[2]s of %[3]s was held; its time has run out and it is gone.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、隔離の保存期間が過ぎたため削除されました。",
	},
	"said.discarded": {
		En: "The mail from %[1]s to %[2]s of %[3]s was discarded by a rule.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、管理者の設定したルールにより破棄しました。",
	},
	"said.redirected": {
		En: "The mail from %[1]s to %[2]s of %[3]s was sent to another recipient by a rule.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、管理者の設定したルールにより別の宛先へ送りました。",
	},
	"said.learned": {
		En: "The mail from %[1]s to %[2]s of %[3]s was handed in to be learned; what was attached to it is taken into account from then on.",
		Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、学習用のメールとして受け付けました。添付されたメールの内容は、以後の判定に反映されます。",
	},
	"said.bounced": {
		En: "The mail from %[1]s to %[2]s of %[3]s could not be delivered, and the sender was told.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは配送できず、差出人に通知しました。",
	},
	"said.aborted": {
		En: "A server began to send mail from %[1]s to %[2]s at %[3]s, but broke off before the mail was complete.",
		Ja: "%[3]s に %[1]s から %[2]s 宛てのメールの送信が始まりましたが、途中で切断されました。",
	},
	"said.nothing": {
		En: "No such mail has reached us in the time that was searched. Please ask the sender for the error message that their server returned.",
		Ja: "調べた期間に、該当するメールは届いていません。送信側のサーバーが返したエラーメッセージを、差出人にご確認ください。",
	},
	"said.uncertain": {
		En: "The mail from %[1]s to %[2]s of %[3]s was sent on, but whether your mail server took it is not known.",
		Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは送信しましたが、メールサーバーが受け取ったかどうかは確認できていません。",
	},
	"said.other": {
		En: "The mail from %[1]s to %[2]s of %[3]s has reached us; what became of it the mail administrators look up.",
		Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは届いています。その後の状況は管理者が確認します。",
	},
	"said.attempts": {
		En: "The sender's server was asked %[1]d times to try again later, first at %[2]s; this is usual with unknown senders.",
		Ja: "受信前に %[1]d 回（最初は %[2]s）、送信側のサーバーに再送を求めています。初めての差出人に対する通常の動作です。",
	},
	"said.blocked": {
		En: "Connections from the network of %[1]s were refused, last at %[2]s with the answer: %[3]s",
		Ja: "なお、%[1]s のネットワークからの接続を拒否した記録があります（直近は %[2]s、応答: %[3]s）。",
	},
	"said.partial": {
		En: "One of our servers could not be asked, so that this may not be all.",
		Ja: "なお、一部のサーバーの記録を確認できていないため、これがすべてではない可能性があります。",
	},

	"as.address": {En: "an address", Ja: "メールアドレス"}, "as.sender": {En: "the sender", Ja: "差出人"}, "as.rcpt": {En: "the recipient", Ja: "宛先"},
	"as.domain": {En: "a domain", Ja: "ドメイン"}, "as.id": {En: "an id", Ja: "ID"}, "as.message_id": {En: "a Message-ID", Ja: "Message-ID"},
	"as.client": {En: "a client", Ja: "接続元"}, "as.subject": {En: "words of the subject", Ja: "件名"}, "as.day": {En: "a day", Ja: "日付"},
	"as.or": {En: " or ", Ja: "または"}, "as.and": {En: " and ", Ja: "・"},

	"act.release": {En: "asked for its release", Ja: "受信を指示しました"}, "act.undo": {En: "took back %s", Ja: "取り消しました（%s）"},
	"act.delete": {En: "deleted it", Ja: "削除しました"}, "act.report-spam": {En: "reported it as spam", Ja: "迷惑メールとして報告しました"},
	"act.ask": {En: "asked an administrator: %s", Ja: "管理者に問い合わせました: %s"}, "act.answer": {En: "answered: %s", Ja: "回答しました: %s"},
	"act.allow": {En: "allowed the sender: %s", Ja: "差出人を許可しました: %s"}, "act.look": {En: "looked at its text", Ja: "本文を表示しました"},
	"taught.spam": {En: "spam", Ja: "迷惑メール"}, "taught.ham": {En: "good mail", Ja: "通常のメール"},
	"act.learn": {En: "taught the model: %s", Ja: "学習に反映しました: %s"}, "act.unlearn": {En: "took back what the model had learned: %s", Ja: "学習を取り消しました: %s"},

	"state.held": {En: "held", Ja: "隔離中"}, "state.releasing": {En: "being released", Ja: "受信処理中"},
	"state.delivered": {En: "delivered", Ja: "配送済み"}, "state.inflight": {En: "sent, the answer is awaited", Ja: "送信済み（応答待ち）"},
	"state.learned": {En: "learned", Ja: "学習済み"},
	"state.refused": {En: "refused", Ja: "拒否"}, "state.deferred": {En: "put off", Ja: "一時的な失敗"},
	"state.released": {En: "released", Ja: "受信"}, "state.deleted": {En: "deleted", Ja: "削除"}, "state.expired": {En: "expired", Ja: "保存期間の終了"},
}

// Trace says a sentence of `trace`; an unknown key is said as it stands.
func Trace(l Lang, key string, args ...any) string {
	form, ok := traceWords[key][l]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return form
	}
	return fmt.Sprintf(form, args...)
}

// TraceState is the word for a state of a delivery or a held mail; one that has no word stands as it is.
func TraceState(l Lang, state string) string {
	if w, ok := traceWords["state."+state][l]; ok {
		return w
	}
	return state
}

// TraceAct says what a person did with a held mail, by the words of the audit log. One that is not known stands as it is.
func TraceAct(l Lang, act, detail string) string {
	form, ok := traceWords["act."+strings.TrimPrefix(act, "bulk.")][l]
	switch {
	case !ok:
		return strings.TrimSpace(act + " " + detail)
	case strings.Contains(form, "%s"):
		return fmt.Sprintf(form, detail)
	}
	return form
}
