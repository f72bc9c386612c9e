#!/usr/bin/env python3
"""Train a small neural network (a multi-layer perceptron) to read handwritten digits.

Plain Python 3.9 or newer, no packages, one file: `homie run train.py` works on any peer. The data are the 1,797
images of 8 x 8 pixels of the UCI set "Optical Recognition of Handwritten Digits" (see DATA.md); they are packed at
the end of this file, because a job gets the script and nothing else unless `-f` says so. `--data FILE` reads the
published table (digits.csv.gz) instead.

Writes model.pkl, results.json and training.log into the current directory. The same arguments give the same bytes.
"""

import argparse
import base64
import gzip
import json
import math
import pickle
import random
import sys
import zlib
from operator import mul

PIXELS = 64
CLASSES = 10
BRIGHTEST = 16


def packed_rows():
    """The rows that are packed into this file: 64 pixels and the digit, one byte each."""
    table = zlib.decompress(base64.b85decode("".join(PACKED.split())))
    return [list(table[at : at + PIXELS + 1]) for at in range(0, len(table), PIXELS + 1)]


def csv_rows(path):
    """The rows of a (gzipped) table of 65 comma-separated numbers a line."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="ascii") as table:
        return [[int(float(field)) for field in line.split(",")] for line in table if line.strip()]


def load(path):
    """(pixels from 0 to 1, digit) for every image."""
    rows = csv_rows(path) if path else packed_rows()
    for number, row in enumerate(rows, 1):
        if len(row) != PIXELS + 1 or not 0 <= row[-1] < CLASSES:
            sys.exit(f"row {number} of {path or 'the packed table'} is not {PIXELS} pixels and a digit")
    return [([pixel / BRIGHTEST for pixel in row[:-1]], row[-1]) for row in rows]


class Mlp:
    """One hidden layer of tanh units, a softmax on top, plain stochastic gradient descent."""

    def __init__(self, hidden, rng):
        def layer(inputs, outputs):
            bound = math.sqrt(6 / (inputs + outputs))  # Glorot and Bengio, 2010
            return [[rng.uniform(-bound, bound) for _ in range(inputs)] for _ in range(outputs)]

        self.w1, self.b1 = layer(PIXELS, hidden), [0.0] * hidden
        self.w2, self.b2 = layer(hidden, CLASSES), [0.0] * CLASSES

    def forward(self, pixels):
        """What the hidden units say, and the probability of each digit."""
        hidden = [math.tanh(sum(map(mul, weights, pixels)) + bias) for weights, bias in zip(self.w1, self.b1)]
        scores = [sum(map(mul, weights, hidden)) + bias for weights, bias in zip(self.w2, self.b2)]
        top = max(scores)
        exps = [math.exp(score - top) for score in scores]
        total = sum(exps)
        return hidden, [e / total for e in exps]

    def learn(self, pixels, digit, rate):
        """One step down the gradient of the cross-entropy; returns the loss before it."""
        hidden, chances = self.forward(pixels)
        loss = -math.log(max(chances[digit], 1e-12))
        errors = chances
        errors[digit] -= 1.0
        back = [0.0] * len(hidden)
        for digit_, error in enumerate(errors):
            weights = self.w2[digit_]
            back = [b + error * w for b, w in zip(back, weights)]
            step = rate * error
            self.w2[digit_] = [w - step * h for w, h in zip(weights, hidden)]
            self.b2[digit_] -= step
        for unit, (b, h) in enumerate(zip(back, hidden)):
            step = rate * b * (1.0 - h * h)
            self.w1[unit] = [w - step * p for w, p in zip(self.w1[unit], pixels)]
            self.b1[unit] -= step
        return loss

    def accuracy(self, images):
        """The share of images whose likeliest digit is the right one."""
        right = 0
        for pixels, digit in images:
            _, chances = self.forward(pixels)
            right += chances.index(max(chances)) == digit
        return right / len(images)


def main():
    parser = argparse.ArgumentParser(description="Train an MLP on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images (default 10)")
    parser.add_argument("--hidden", type=int, default=32, help="hidden units (default 32)")
    parser.add_argument("--rate", type=float, default=0.05, help="learning rate (default 0.05)")
    parser.add_argument("--seed", type=int, default=42, help="seed of the random numbers (default 42)")
    parser.add_argument("--data", metavar="FILE", help="read this table instead of the packed one")
    args = parser.parse_args()
    if args.epochs < 1 or args.hidden < 1 or not args.rate > 0:
        parser.error("--epochs, --hidden and --rate must be positive")

    rng = random.Random(args.seed)
    images = load(args.data)
    rng.shuffle(images)
    held_back = len(images) // 5
    test, train = images[:held_back], images[held_back:]

    sys.stdout.reconfigure(encoding="utf-8")  # a peer may run with the C locale
    log = open("training.log", "w", encoding="utf-8")

    def say(line):
        # Flushed line by line, so that whoever follows the job sees each one as it happens.
        print(line, flush=True)
        print(line, file=log, flush=True)

    say("Training mlp model...")
    model = Mlp(args.hidden, rng)
    losses = []
    for epoch in range(1, args.epochs + 1):
        rng.shuffle(train)
        loss = sum(model.learn(pixels, digit, args.rate) for pixels, digit in train) / len(train)
        losses.append(loss)
        say(f"Iteration {epoch}, loss = {loss:.8f}")
    accuracy = model.accuracy(test)
    say(f"Test accuracy: {accuracy:.4f}")

    with open("model.pkl", "wb") as out:
        layers = {"w1": model.w1, "b1": model.b1, "w2": model.w2, "b2": model.b2}
        pickle.dump({"kind": "mlp", "activation": "tanh", "brightest": BRIGHTEST, **layers}, out, protocol=4)
    with open("results.json", "w", encoding="utf-8") as out:
        results = {
            "model": "mlp",
            "epochs": args.epochs,
            "hidden": args.hidden,
            "rate": args.rate,
            "seed": args.seed,
            "train_images": len(train),
            "test_images": len(test),
            "losses": losses,
            "test_accuracy": accuracy,
        }
        json.dump(results, out, indent=2)
        out.write("\n")
    say("✅ Training completed successfully!")
    log.close()


# digits.csv.gz as one byte a field, deflated, in base 85 (1,797 rows of 65).
PACKED = """
c-nMbiMHH2j<Z&4m;e83TO>f2Z@PQV%+yO#i!DoBKoGpHG^@ML|IFQXx~{PO)ys9oab4xSrt^PQ{@gD&?(6a^wIT1%vt9U~F_XUbr^-v%Pd+dA
ejYD>cFz;|n!m5-{pTCxx8v4t49{NjT4s6ljd^!@DRaxa>htLDg!w!j|0TcZ<)^08&*dG@t9Nti5BS~n*3Oj={zohF#+a5|>OJRqk&AO3w{jP}
ZD#NF9`xSRxlp<0xS#nr+#_z@Kj#O}{|>IjdLF%n`RwNO7N1-HA>Q^Mx=1Mw`J~*_`DD^X)PGJ7u3%!#u7$t8_P9O%9{+Mbeakyt-921cuKfJw
`N{i^U03rg$N6I{W$*LPzHeQd>%t;lbz?>F?9R2-RrGJhTKf6gF8xG!#`1dM`Z&W=+C2Z^whMZ#{gG8Z|HYs6&+|-tt}T7sZfsn7-Fgq<s-4%M
YcS@yql$aMz9>sB`7BM9zdkD^J2CRrJ;`-hgE3meL!E(Jap^`ltB9?)o}vH#=xZ1YJM{ef=EGQg-siENPbO}Yz3{N6(|hvm!u$M%$A4vfzCODa
FB`GU5&h-sUiDl{oTcJH=C$?Ox~`#a$&3GS?%kz4Wn=j<X2(t}crNbTiTp>~K|XPIkCQK~&s_2VUE6l)54K+0x)alwdhh3{6j|J|a0CiBrpx)c
xCXlM)7Bk!wzgbg`dz`<2p3Kz)*@p`&!s%NXZBO8yd$jY9~_pa%T9Df4@a1L$-k#|!C-{6o4oJr4|yD}j8$}P8uxgw*op0)6+3X~hKap(-YRzJ
#7-V~I<9$KX<vHzvgq+=U~~~^iN@gSU!6N9sfCH>czWDgcVZG|zwrgSnCHy8rLX7e^%mSU<niu$O|fNl)g_na?b75F`0G72?i}}lwR^A@jgPP3
&u4Y<em~B0bn^EJ8?)nawF`SZIPSoT&xMWSymryWyvNx}&dcg<S%tGR%izJBH#Xk*p8WGo6P9mnd{Ot<iPyjb&w6X;PGB6*vym;EpN30IZE{E1
&XT1On^?-N`{&Wc^!S=9t;7Ss!+3cvRZ)|89%IE$baMr)kr*6VQY^tUc*yZhK{k}^yY<*Pm-CzT!Q<HFX2))w9pOtKa+r#I5SzPW&sY9&h#8Tc
*dq_ugoo)Dw${{B<Ieujr?f-WowhRkLRq)domeNokdJpv_`b~JD0ju3sNWFop?g&xV;7s)mhRN}OnnUT{G+U<ILMapDpzz~bz{WG^^Ki70-t)Z
4W_?*&U@!M-exp;1-Je~i1H)n@ys>-aj(aooO3NcFhwWda|bLHzA%)CU%Y7MBW}?@>Yvhy6H+OTtF0TS=7<Zz-i>K<FYAU7caK}vm!w<9^DxkI
abx21ZmS16SGwG&*r_leNxmYVGg3;%S=60$e#i5S!Z_b~U@N-SutnAGxUE|@$q`V?b?vR!CZ1`kXG+(QYdFtP?10<Hp36s`jxRc1nrE%qmc4P7
iavh7EGCK-p6h}^NhPUqo%4hovJdWi>gkv>OB8ms*z~IlOk7wvd!-;UimmEnKRZ;<!SSt+ZpC{=wZ?hZM_04<n>+D>cRqV3iv=t=sCCJ;pDXBX
L~P-zCg`SVau1F~dtk=btrr+q95^FOK39GrN2JNy%gf$A#x=@Koa>qTVC(bR#!N5k)u3EhY*~L8{-L+vhXzqs?rCTG#LD+|Zmfbpvtp;k`@Lte
s<EDsMi0-n(3D4lMploU#z>FGpl6#D#%Z@4-%z^vKH1`1kE^F0DUUsV3$mVx^Pe6*Fxu~Ahp@g+VW>^)ddX)Ii&$mHAWniTITZQnYWEW(;`2r`
v$%wF%JdUUA5zi>QhDWY{D_I#(|JdMOAz?yL?`McCUa^S;I+4&dwF}qmOkqsrZ1eU7RTg{HIrZNSvOJ~_H+=fp9@$TjF0N&RNf~I$>$wO{BOl}
EJIg>Msu!0r@aOOj-q#!eZV(5cwgRO;f74>=`<J;X?le3`hniCI>X`GLd5!J{bMu_bt3Dk_Z;gvzhXfKHcIO^x0sg$pZW>=0=9{K^qgu-br$2z
gnba{-%pg-;Y6>A_&(zKGkh!?KJH04WLbTm2L1~>rga$j`=X)0w}$;=$B)&Q2s6@%o?jOGzOeI7Y%CuLPt&zX;!xx%oX^QQJ`XGEmOZXc&Aaaw
;=oJFI_o7f$c_yE;~gJ6jpfhlCGm*U+@*7QaTbQ1N*Kw6xaH<891Ho-9ala^J+<d?kNaa4&J}dNA_P8Hgbj3p=((^&=iajf(P~4(v6_Qh1tzNV
5Jo$U$nQdIdY~n{(-^63JeHVYy6D2>UUBaXeUZeR8%|k|<r)%Y1xcdeM4z=E_?klJR@AU;Y@~FeenhOpY$z?#dY1mu-54Dm!{V?S<<C>%M~++3
*R$s52m}e9G*)r7Zk&ai;Z@~@gngT3(qJ1ubix8L#zFTOP93uJ<8jhO$JDY!KIcpf4fhyq+4E7;87=bB$Aj&_3*MG6Z+*V!@t#CLgDd#PbDU44
h+{}Ufkof*7wf6L8O1XQ(+uL=A+zs2WFMTz&ZS~Nim2c`GkbRajuvRDW!h&Wz;+G<nzeo+nB$Eb_UDuIG@j)9F`E~@`6CQMRLhigDeFKYQgIWV
55)k6z&|<*f#Ab`heon&9&6np5BAeZG`To-D!uJcNr{|1y&(_um~oAjZmwZD5zno8V=CkK0YqE4RcFyULmvF{vA%8VtM{^==^P~(l#GzK@5$g9
X5BG&5(5(W+F<h-+#EAV(<7mb^WoNLemv{Mx>YugKIg<Vz-_zWd0P%l3sIT-;<z`pFzJ^IiF-x7R=0Va&sn%1?%=){44<7OKvYNz>EJUEWIaI_
>nsgcyWx&b#EQrHjECPV`=H>7M<z9csq27)&=lwHYFs5mg5@$q;~cvod#=$^J@EVY4rQv7JsZT~RnoXLFZI&bS$l=V?lBSG#f2<j!}*<0izn9)
%El-L3!eQfuYNE1^@Mnz(8Uk;OJ@r|aHdQ+3eS1tS+FqA&$C6G#<IZBCXA|s<vGEaE}QHN<U|!|f!|nys6TrHG-33O-9kXaa=>Q->5?l_^Kmwq
e3h#}FwTWEU5gYa9YE*K;|98ziCnt4E*FK&{7|qZ$YDa-xp8R{U+VXTF}^WY+PJcOOq?FW69MBfYH9&<-kCsleM&f7$G!7{%t|-2){@nW$ss1X
M%Clxk(OJ6A!kH>!KdRA5f?BJH4x@}b5tLV<a;4lbH{T6z&xKXcxsGsyP-Jh{eM<D7zktNfH`?A{<$-3p!;d?&UKyyB&(N=SUm$nCw7jrr$7+)
7%Basy!GGDW9<&8?kMz@dW|Ra>CD>kxR^Yhj}+R*$VC)qE#_T)p+A8M9~eInUoh7~S^(8J--#iW+zLY9hZxD+i}<lQg82HFpwFNflvZKZ=}pCz
@J<qODNT+I*}Cktzu^N?o)f7y4Nr$|Jpto7PpKxsg;q8{L@I3GO=c_?^Mdn+@P4sA3;fW=2R!zZVy%li_B@p=8))MP3hwzBO*tiwL4DbbTNW>D
b7}CqMSTpjs6ii^f?BAqK)^X6NOJSwB|1h9nuSG;JQT5RXSHzg4=sYlNQ-;2%hT~|BE;DWFzIudd`P(2n*r-YhH)d}m5uef53aF3RXru&oqDc0
0Z$kj7skgU-fxTPng#QESY<OZ^R3T9e!29R2@tU&cG1w+aA}M*heGIrGh)#Oj%zr!FMUy`2S|y<3ks$q%*R&mdQ_62I*KTTJH8Jty=b4V0uN<G
ZhjB?5lz(;*<SG*=2>+1rknV|6XqeJJs~oYZCQ&fJ{CVX7q)6%i2ubg5Xx*k&zeYtQujt4Q5C^BzR2-$dp-p|6xz`F7IC=cD@;_DeS`n9I?uLM
;|AD>4$LB%f1qp9=dOVu^UVst(cAg=3c8DHlf4^qv^bI9GZ^lltt{*5#bE>_-9(Y2;f&WOd-oapN+7a;5T|Vdo^X-G6GnGIf~S+DGwD6&+<y}o
AZxNe>Zf+|`l<N1h@ChV48i?^F!8s#ib$h8v=RU1;t|cqTXS7m14SCj9KX!z0-&I4;2BHP+@IC@i(Ih!cOF_KP&u2%3ti#|ubE`RX~rJyCE+nP
gs_pvcrt+Ob(s+^ut)_CBRp`!zS%_r);o(6kkuii+UqvZ{``%aB3yExnnzs2MR=%-Rv5sOXXGMZKx9L*cCRLFDU!J=G8!JDWf%(=&%7?dzJR4m
dS<p(@mAMW^n6Y}Ha!iKsm^50C7YM8<`>3dn%I!<&GbT=Sc_<<QTMpdC+dcgJX^d<>T3lOT-(`#+3EKJYjsw)xVS$mA(I!$dP}BE6K0pQaU7m*
VfEheTSHyrZ-f#6ObHw?v3guJZZJ!sTct-M91yikT@)^e-{M+&xaX0~pB*-N*ziMRpthE@tW<vcg;AaW&Y2z#1q%B2vzI$jd@D%c7RE#9BLVJT
Ip_!cvKYx8LIa+}B2ZTkCrI1S=j#{-q-W}r7W8l`t{9PQoy*Y#^B7+>O=oLjr=^JWy%mHWWdMOpbi!QplN5wMWP$r(vCg58Eze#5>LJoCupg6M
8YxZx%GvTfbh3j58lO9T)4Q9fettt}|0mBFwr}*bOAf=lzi)Wi^L0z}isLmTf@tIgNa`aA=T3lu(i#SZCENpRS_0cNjcAeUoK)$FzW_r|jeG5d
laDdH1Oeh)+4@0c`goW!v4DQQIJ*~9@tQ3Tg)CztNZJhq3*W5W4pX>U+t<ScW5wr#)hf&%pRGnx!bCj4o57eB`{L4_sM&gukJlnw@y$nUADTNj
@6gP(A@_;++QfqRCy#jJ0t>ZKE{f-D=#E?!*_RZk)I0l)=U(iv80van)&4Vi>I{k8A|f*ASkjnaIIIWdfU5752$t!C?x=7M+XHux&5h7l?16<u
#AJJgd6)gb>JEPs@m&u1^SOns2*#+mv}Ms+6*`VMSB=ZlKzx1zVx%g2AacD2YqfG35=~IyH3vdp02S3F`S514k42^cWhYo5j@7*@7$Kz^nWug&
+c8{G)5N)Ct9q^KsXyt1!SaP-+WAQT8*C$y47b{_@MsY){IC`ax+{L_oQ=ti`Dj!X+bYSf9PS%CaRd8^=WXhC_gfLE7T@tG;BhwCne;H!eJkFc
*`A@n(_-f}G_F54l(aar302p<G;<C7$!XAad?9ePwl|aKv8~+H|L(*v^;AgK)=^tYvbWDFKQ!M!zMlaUZcbFLgSzXY<SannTZ5r^wzQ@;?Xjm4
_{to}Bd@!Ub=6qe!?d~akZzRYqzzSs;e7h8__VJ7TuWCgE`y8Tk`_xDpl=DzsD<hg7>OEh=zWf9Dgz=TYD>GL%9npzcF>{_MB!6<3Y_s0B+E-#
Ko6J8(GVxzvtRX37Vj7!IE5zC*wy{Di49vf;;EgdqTeI1kyggXd_ZLJ1dcTYiW&;ZV%;a{l2c_j+@9-u1G30KK&_Yydjn_q$L+JyZf-%+0r<{m
sslPlX>JBt3XM15gkn$tov<u;HiA@nC2^6|qBkz0k$k3wd45`v2eIr4wse_~foNa}0G=EO&#x7L;s%AE3Z5pay^Miw6h$SWbbss4u!T2#Wgg<5
s{#Xh$qz7(<NGwP7nEQWlvw5U#1k69p414B^WKw`t7*u$@dd`4y}2&|MLoZq){GEGcXZWgt)o2Liu={CwUS2rZx1$-0pWkaKoXm%7|5|?B`5QM
@^)@ZI<6}aN1&x*(4K&{UcZR<dP}n`Q$0oZ?Af40kf;+!0>({C;Q9PQAi5L759qqgCXdJ1BFGbp#WS`O6Mf*Wnh*x@ND)zh(gn_+J2-kliEVSj
GQ~;j>t{isYQg;86}5~LL*rtCSI;FegrtAx|7q1-O08;<GV9KBAuU@SabE@S>_OF%dc#5_TVYj?J@8<KZ8NsmlKsBvS$^J`wo7wW-(i~4v58S_
;<O|WtJY5bfM6S#rsIz5yysZ}BYRD;iowNtc&-nQ<baS146MwQye%gp`Ri(nnCe9bkZ|xFV4bwcONh6jvX3POe6aEh4xUHtcrAN>jGzF@31tIa
gHZT6I$>aPw_=>K!~EI+V~@WBm=ZMkQcg_)`_F%<55x&>#Rqj~HiNJoV_maxH&2ygZXGq;mqb-kHob$cu;0)axV~qYhbTR^<J6kE8wpE<uT4xf
`511XbdLs<kHUk;l$Dph5&zIQI%1@}ExlJulec$b+savpTJR|?k(?jw$`X1|r8!%@@#Jr#sggFP^*}k5D3zs4=^V%T>zOEodtG^J{2DA5R(Z~8
{pN*wO#hhk<J>iIuL|OM@pR3$e*6P{-?%cXsTdpOS)doTJ*y%Z=|RL9jbq6e#z%l_QeW28!ZI0##sIW#<)N{ljl(k-$_5~uCr{Bu7D!y9q9?{T
O!FVQ@y&oH&3|YH_di5u2?xFAnR9>v!M!~nRy1k`10py%1M&y?s*}NFwfKvR<>y=J0^`(}=?#WNYb$ETNe{e??DL-I4&plzjm*l}3BEwF&MXUF
`;By5Kq$Nsr9H<HNn*fsqS<5Wf8fV+>4k7{(H!@gae)0LnN2={%0%6HmHA#GziR*W4B)K`k+q=uFIHb11h2rHp?|CtZr8%&c*8<v#k5X@Oq%KD
r5CHtu|9Ot0trIoxC_8^eBu{cGgR?bCbS|ID=`T_7iGM$>(48yH9jC@*@}b&aq}A5#GVNM_?LM={J|Ir_)!-$AvpG_8dH|!D{?m?OBw@lMA~Qb
2Yt*&U@`XDAh9j4@a3y9;V^#^SW-Vxe9?<OwtA3fI+eg+sqFoSZ}$2#!3zSCy`g_~92)8eLm)EAoz0~ga8*BiB|Yr}A<$~_PQP2$bAK{h4KRM`
`^#T9Uh^;tmGF<08P%0?!+jNqWW8ig7+3#fWbd2Im{8iAxfH;Qj}@+g?wdsjn{;pz9ARWn)CO{Jdv~T$aJw=flv0;8>dGa2_%B2QU#j+HjtgZc
W(5LWgHGfZ%1mXStw#8BXvB(QNjRrjGmy=Y<-|yKj7gB0ir%yn&B;%NV;jxBzhz(DvQeG5J2q6&yvVBVNrh7R1Huq>_+c=lk62<e80MX`fyRls
X{cGTx@P`EK>1i0htpoP$o$q&c$`N?9U-CW_f~_4kw<B!k<n@_!!jTZP&4P7|B`gv%N_u-bwApjq)a!@=)U6cl&z;PE9fGga;tYf0Z1kbK&|d1
W16SNRpX%)eH!7pBLGPF1%aJ)6$~o(jcX)9?#+W+VQn9)xqEHNp+5-L8D++oWg=rP-hAxG)M)MV_>%>)CT;36TkAecBlrPR?`iqM{b~8Yt+1ts
q0a`1`#hx~2!_{JmQ3B(#Td!%#r5DXZUtktZvr;4VXH;BLV;NK^~EI((X4M7xujpmh5v*iuhZmlZP*xtapaTXBu^G-W*!|Bl{edMvHBa$Nfaib
vvM>$jq;mgTZFPnxr@#6v&B&3T?53Ce%fQ!9fWERS{1f+y4^HIk#RyqLxqO6@ja+!zk{|TxiP?0DRmpYu>C;}jE}&g>Pg$CN8*Yrcx(4v6Z&I;
)ED|qSSQ^#?;5qxK+4S2J5!Wxy&;a$2T@2AjBR|VR*FCv#|kz~Dp3yaR7kD%myDgrSa0M~q3vmYY0GEpd)Ao>(OR~xWIop0JQcb?&g0B_8jj;Y
5S$;hBVBEfxIl3IA$kuopnHJ69D4$PKYHYGUMJrxpN+_>PKDL>+}iRqwOF$^0Z9Y2vetAZ{gZG_&Om+nBbDU>E(vWLQx!b6u!n*3hMhWw>*e>;
4g@*%10lT>Sc_yxwe<{*`dbq<T-u0{;)3$=Gb3HUL={atvR6?iI=*ltxjrdRz}uv-WUMeLXLNOOYcd-L93A!?z)lv-vjGrBximh^#qtGFJ^!|)
NieM~S0|L+*B8d?+#r@W;;&sq3Ufc!&(zn~g}VLoU>+NBESA)z#C@D<)g<Yd^{ye#ThU_1F&9_>p)ae}zj)034G=bPq$^ml-Jo<-h0kHv!e`h;
J0S&)QZmI!wbW{c`6ypm!)#0cJNT!Hoij6$SeY5hV;maN3)tUS$<`qX@J8wWer7{GN%ow;$b2gPgFD@_LDAgt@(<FN_bNxke;X@Z1=!>8g=%8n
Xo_5&cSk#9Do=u^LuYI`JJ!7zUHot=tV8ax0OD~DLAJa>x{p!WG@GgfH(4dxWY4;U=IN{tcy)nW96}<2<vcz*K>7ts8;23D=j&JgzM4NWLW9`K
n-Pk2U}@`hUg&tT(|vRCHu6J1`8Zr3$`bW^r_U~sr#k-7(U^xAu6-VcdamOaq}N;X#>WWF88H<6N8-`4#Pf$AjO18^ll1>&K;w3ZRI4^dUw?W=
%<%{j32Y!+D?s)q<gJ>KB(Vqihp?DSJ%3TZV7UV}FYd^i!Yl;kJ_xpvG$TR9LmOx3W-#<(ogLMG(p2kXgcovh7UDr`o!DIw&trmtz9%I_7sZ#z
M`KT?bx2tI601A2fK@!&4Xdj*wEW^RI|Ia{<$EMNYt|@xubKZimWWE1wU-^&s5|N$5q)6p$(aogZ;z#J<`7U5FS;SCQr#Hb5ktMB0a0RTr0&=h
)lF^ySB8fQR>i;A)RUgcduMT#QP&OfpF2r_y6Mp($oyTBcJUO0X&)Gt`O!dK>WbK+r44QXc;V6zEBPrQc71#Gjx`1kVHZ?k`T#xneir{7TYi^C
x(LZUk^F-b^UNE8tuUiyrQ}trTx0=wP5U2WXVE&XF5*FsXr3bm%Z7Pb3NB5vRM<LkBJjk;D6J_F(bJ_7Y0OranD>v>ri)m#26Ha~Aa$oS*bxE_
F&TKnOAPF9B@LvOqK~aAKUwR;kr9hG5~!4Q<H=y<9e$f*G4`irg`KRhTu?h>uf}ovM7|9xKM%$*c0qG$!KF3LTs86hgJivxv}G)VWv!b|t81$z
WM#Ve8HQgLI7`YBSQSASx3RMrnZD4d0avWKx~4FXn@x#qC$zaq>c%A{B30!Mid>#}M{iQ-#0p4e918zbB@~{RD9E+N&Dhxcw;{?3(x2$Bs%n63
5HwC#Em=rV6&YkjDsxE9<*We~@!s94|7?6Wh@-s?Y&TsNiuL1V?bTnajC%{6W#cjQ?g87UY?iA1VVjRtl>H?E<i1e4X!w17XKYpyBRVf!iZ3P+
DlVn!nF+7MxH9vAy`9rKQ>zlbSB5zLB=2@>1~?#6-SGeUWXwZ)toAafBYkmd<E^^2+9&i*Z|(Etw=y6V#;ga1hHmqdHtGgBPFX+Uw5Ka8&jgl;
Y6D;qDZz2xKzpUK?O+Li)yF)n=E^TPE>?C}cu*RT$0oXO_Lqn4NY-5S9*Vm6tw40qNc3!FO$fvt=+@2FJzx&yt&e-`#Iy%(Vgn1TUSe^i!$NnU
>_)L&i$V$~v)Ro07}rNa59ZU>W9*H@#DlGQz+{U#s<;N)ksgx3vL1@mtOF`r4&J_qX_CUG>S9PNEDx%%<8|OEMIY$0jQbs`*>5Fxg%~H;L7SxS
9=_<Yq!&&*ZoPIoS&NphR?c1Z$2ymt*l%stbI+>zOK(^R-&~HQ(u%f@wscPx^TnDcql3KsMdNH+Yt}vPktLYhTh&9P9*u&frtcXwc3Gzrtr<Lz
ekAS2Qj~840^8MpK$&dG_i@vjt@S%<*U(u~dG3DK+`o3FG8P-ekNx0ItSl2fAvLtOuJ^&;Y^mgq(em(c4#w3QApFq0{~XiR3nC`ZL^IPC)~F`c
>ErCRmrr||xIR4hHjLy;k)Zh)7wi5$hI3Z6B{x*rnqo;xkxM#PFe>sx@>ZuYUBdppW)|rx^$&!HUV(%wJYf7bBhH?Gr#gTrpU6i%HUj#i(~qET
ChXhDgVGryjN|C!(!*E@Fl>FaJm6Aixo~E0-Rwx2;5cGT<BuLnMz(Vv<N0O9#Ffz`-9POH8Q2x1{~9BS|7Gho^bbggDpv5k;en0^REeGQ*w7F=
277y=Ar29CB7nDwQfpPtEvQpfYpmxvgUK4%ftyJuTn;h^)3Jj^iBGyyh**`VEMaLdQpYl}6GL>Rd^#9P_4?ReZr;g_ns$fWQSA9GEasvDI(>$>
hfm@Q*!9hZ$*6S1Vg$9HWXp+Pye6Dpule2{J-^m|aNV!23R2&jV96j~!Ls}Dwxj%cb&KzdLq3S)7_Fl9^-N&QANR^eIIUzQ^U?ETAT>tn2x8|d
Af{mv-@Pw^VudF{=hfYQG7Fd9B%8!LGM3vkJ*G9vvvzj&8Zx9|70-!==@asHr4^^B@!-Qivm1b9KM6^%aO1Sx+M1U>T^?o;`3->v>3)oS0}o^U
OfKE$N>pZ~QU3s))#u|m!a6&tYo8<MX_-V1;hHH=h?ubLFwIF2M*9>6OM`R$g?U*E<f8haWS;~jl(h{tym0{t!)i~@AC50+L1A00p0paI&E(nu
!BF-Dn7Rh3T149Z)>hcneD!r_ro>yp`OxW}$9NmwVf4UsFjV#jsvD=1eJsZ_EiJ((1lv11Ho%~C>4=oZ71T=C7A7#!2V!Hl@e-?+TF!;*4~7se
G&RCJY0cC}YKr>Hd7{MA2~5yM7O!;wg6&-KDgdZ@ra3AXjjdQlD}JS(nCB4&kO*e7iD-VA&$37Y#(DCP>w{w6u`BxTnceL#Lvz|6yB6`4%k?-_
p<tDV3>?$ryMi{zMb;VQ85FHIj;MVl;`*fOd#*rl>9|<r#({W`e+7ArDh*wuJT#qi=)etXT|1&Mlz~Fn_17tbh7|v4^9o}UTcLPBVm&z5w|ZYu
CuAyXrSAe5kWJ={RBuH(wN%<cY&glnG6EEhXf-HGVVqQv6K(Bx49Z7RsN~p0d;v+^#zS#^eLLk<XAkmcyal()7xt6Vxl?7Pq=HE8843gc%)0de
Op>}h{W&oeJB$7mh)PXkq!SM0sriZ5v^Z$bUjA`3D<fRPW{g+4Th;LHY#?PY9aE@Y_MGCa)qm=yymp_7$xBv0MpzH-S~*G_P*;fBFs;u&|A0rT
Q&_n|{MoHtD!GHR$uuy&b&yPATSWrUre;NHIYj_YHULb`IbtA&#&%P;h{#wRr5=s=mLHR$u!;v;ao*Sdw?)%yrYhS(V<n=;l1>6~@97ohfyM)K
Yp-W0DO3$u^1((r|6Bv|T#1dsxxSRqMS|=-VYTu@o@!Vu`xL#&(g3H1J%Oe9WB_yj^L)`;DiI1Ob;nTL$hk5pyX>g+?9C*Acp_Dlsc&7|WVw&P
gHU#CAesh8yI|?Rp-BSX7VsC(AyA_VYW~XVlJ4RCgY19ZAEMONGD6y3qk40%&ESG;!y=Vc^i<u+Tg*HEuuEQsPA$a~pqlhdblXjD`n(YZDGv?F
0X0)8%_$dSx3ZBZGJU&uP4Ej^-8p_O=7@bKAZ!p!8Lv*8if3WFp=pht=V1a%`&<0A+6dA8vrk@_m{xnTWxGGj8`Zz3!PN1bfy%H?cT8W_uT(!2
yZduU7;t1G*jq3*dZRv$64CA*1F(mUPMQM9OnNyr$}4W&-vap6>GJp>V#iKGbQs=l;=HTUfI_l<<~INIgjy!^%wDWbB>`q>{ZD_&{lY!r(|CIk
M+hUof;(q3JB>g)+Rs2>$fD)?2@Hz*K=ChV;xej#nLpzDA5j^h=IIBT6R7*GwUte?{`NC>>vR1RlsRLin)1uWUY8A4)T#Cx9;%J4X8kONwjph3
!klFx{eQfLrs+OdW+duAG=kOTG!Cv^;=72Mp)Si#kJauy@A+0nRD*cvO?s(w*(%`{^r3(y@qxrj=cw!(DHE>1H%h@4FF$b>*Fyr3tyn(3)qO^s
?Gu2CSzp!w@wo4q%KyAZOLa_7Z&UvuBcBM&BhG_aul|i^302F=Z>Pl<6S#kb$eVe;CH+qf)+mMWZA3k1?YQfW3dhjH6q;7N-5eSGqf%rm2xmJ`
CjoJ#-_%iKGm-jAh3hFXW;OinLP1z3r|awn6^W=u8qfU|SW!t>M>z5B=-u-^FrwsAP|WOXFcr{qJt_d9?JL@n^<&KOFiexpG&UET#khe?UN@i_
<rh#^YLA^el_=<3pwbAnXsf5xYN-sFfp}=K&J56k!sFAyl+MVR2ucciku_Rx2;=-PJ^_RbPAC&W>dJvsO@qK+l3d3QD(0P$H)a%J<4kPXhm`b>
ARCM(0)V3A&~K*yx`=LmnJvF4?d4=OEvcWiP7<Y`#2CI&R1Ota4jt^C4QqQc71hlXIc)wi+tly%r)^e`o*pK0u?sXsugCjumVaWx+yb~74O=;)
7f)1;)h~eC@1B<d)2!&nLpoUi>)bBQ=;{}VZD?~JKQ3qf6q+OXCqt~VvW84kh5&>g5V<}PO20o+Lib}-tZdE@fV2al$vyTMulA2@ve}IyUP}1$
dJG49K>f?@D8@ga&V?PG4m%T{-~_TN$7d>u<Gn?*D4AX7o~j{hgBy|FzOeZsRyVeK3m>=$HTL^$_B?xE)Ab&)V*~1wDqc=}iNW|CmF?HZJnq~p
7zaXQ(kQ;1bU?{_gYqcFdVK&VpZDGDcNSAsBnel?(<U{7oHgsRuc4Vxuh9;ts+W6FbdoYrFp;v2ba2P`mc;%r7hctySz1+!?iy86-@B_Qd3kC?
TLQP!V4Iq(vj0eM97nUkoSeW^jorCAN}5tR${!|Dh8J}YLmvOi7ZJg*hJ&)RoVRnxTyGx@(HIj?Wi?hhopsaG7~584sh`j}X<fn6)NN#Q8VIDk
sV!>`WTDD}V5`lY9qj`87bNi%74=QpITA}&zChs=*U(WSnF?rLcT-{aUyZKZkf9it_P5A3QzTHL^oZiUax0`XqNvp|RAS`3NeKpaE7b(OyWT)3
I*)0>wY`ADW;hpoP&Ok~&p}*q_jn0OfAtT}Z-GX*i=0adBV^B(RrTq(`wo`dT901+RZ1mi>e2E%AQ@FVU*)iB);1|f`k>w*!a4vXChJiSfu!#x
c7?`6&{eF<<ZjxZ(nxO<PSJuTWO22^(MOVh5t_3sVlt7!P}biKRNLoHs;ZW0ePK8c+}BhkD1&wuCz*wpQ+Uk53NOMLUSS=Pe2cJ<ia^ODRl-pL
Z9sg12JFvm!wcSCU&>f^-D-(3QEc^<GkQ5u@tdW)aW<B;rL8}NCcpgKBmPIm#0r*jXd3$7PmHU@b|vo}n`fnID*3VQcy8h$nNrjIrz)B!dMW|2
vS%#Kj;CmywN>r>xpx&2tb4HjTnP|p7AP3U1PSNZIwdBYl*Ysa?mx_Dr0?f2!c(=yu5(9>v{Kyob!{m{_KZUxW1>)5AC%IZ>ZR)tfub;NeZaXr
(Stg>9$smM`iG#ljWxz<pUXvMZs#8AUC$R(kbZGIrJ%sCK}gY%&V^plVR^3!wV}CQ1wW0p)_nP%@pt@APNzHrQT#4sKn$=|7qQc*5ny4qt~(Oy
g-(;@-4K0c@=c_L+L-r)ot0FCCq>RA-w4(!Z4l<+MuQ|}N;X57l_)0SSNie><l5fH612Irs%N6aW3gVYU0xnKi|pW5G%yR?gL>h)(%GPY&`shq
BGskb$%1bz6O2{?cac)Q!h5JYyHcu#?+>~K!ecZ?wv{(yHjr1ehvC=M-8YHfK~mRK9b;w@2f!_72!BJy;9<kFHZ-etQ_&*W35FCbJ&r>+{SL_U
oLONbgEBOB-IO>wM+bCb;{n-wA``!DHWy=qhMp)1)-siOOg3?%zBCKMu-nv$ZXgzs!WSo|);FGrX9eiufLgZ}+F2i;psx>9R9+2N(mddVGDxPk
fu;!pjHZXgUQO-o6?{Sjd*gQpT2(Kv0j_SR5Q~jt0jVpsH&)sPH+iU-Zbhu_T2=o*L?jT6F}F=Nv<4Iie}f?<j!~1U)d7`<G0DY=Z^IJ_Z3zE2
*6u_s>f>Z5nqX4=`59$}buk1IeQVf6!gJ(Kl<6nB4>D=sgKVL;%4-ud8LaWcoR)+meGZ?5$eJ;pQ%&lO5M9M4wl>guKa}!zeot5x?!-tF#PWLo
*@-XoZ8i}to@cMCvcGT&wMleB5z7pWh+RzZ3vVmVf?gOF%Y_SKUW0wCc~haK6cgywJpXCP|L?Ju@(<!N(1v|%Q3=b($19^*_VolnslP0?6LcfO
kkV15SM)SQ)yqQ(Y22vNB(!Y1;Jmgg?;I7g%GA|8!MHLPq-d+uS3d4gZ}a~JP&kps2gTuQD72PD$?F09KcF!@t)&#s*%!9v-_$*OI#ng4Qy0-X
?xAh1ar_dChfO41GX)8mhn+^WtqfSC-T-A<!;?t_Cl5?batq!1C}igib0C9VfbKV3p{F|+MHcP#rALwlP|q{~WyOi<2U2&ij=k>KeNrJY13m4X
*+KP~oSn+ohgE@{4i#Qf2E+tfhZOik)Vh(vrd)0`&42+$^h4ixYo)755REGQ%-RTZ@(|_DIhiqmbLk9^)z>khC6$I;x-uYu_B|Cj)p8IAtQ1@d
Byo*~(<HijC`1+_SthhSVbji~K*cgNY&a+^NpRKK?_^XbhWl<<+nAod8&i-XJFeC5UtisWY=1B2K|WEsa_w)CyFWWqmUbz7L1Uy;40nFpS=Yx^
%3c~O+9TSal86OTt?v!N4d)Aqj!*rgYEVo-A%l=81ZNHWx|Mk?PAr-|3+WL}qe(*`SF~kYhfP%F0ai9~JjvL`pwd-u2?F>mg>}U=Nh`A%V<u-q
5gAHA{JKKl-rf9|3}N>`^BOcwQ8UTHz4D)#Gz+yB$z*h1*MjZ+u|f>Vyy0B$9dPPI=;Jeb?mFg2pLd<qmanY6QzSb*%o|sK`%coIPKaAY$<R)c
6|YRnff|hJC_Zo}6I3^Hlo622qH_j$s}^B>p@(CLX{e;uof9J&$#E>I*yVzGl4x`jMm(GQAb_}V^4tQ6uSDV?g*6QFK5Ipb6SvVm5NuOyWW&&$
pJPw3F;=bnI~vaXsF$syoU}lBgHY_)H_JibXbV2kh^c0nG!1pUv@3e_IhH?6oBHyUOr(~cC$Dec{MpmTAy@z@{UmI~iBE;9?INYkU%maIxUu!B
KHyg5eaGzlulGxEAg~E9TJu*4UTG#z4Ip<e)R9~hkx2#TCnP{7nge%Q^@}`7z$oTC;U1bO`UR8=5hDfo)bk5OFk!L;0^x`eINMC4x>_=&F3O#q
07cI6ae?aTPXrszHA}f@0M;XN;pjCD6V=E_sWbqTckAfL_XA+Ofuj+Z)-a>!5;PBffMFhQSsV-E$!5b!s38-r@QfYRnM;?+DHvCx^2P?Ev34cz
`K=>kR2fv9pd7*#{+M<4vHYf5K-O$o4!#@p_O-wu@<?iu`ngnf-*r;Hz{Etb55lWK0T{W^KOB3J71f(>AB%u$nmd~UBN9|f2#9b-VWgs5{`1fV
u3(@%T!uDG%PRjV_eEyB1GDI&uz-S6@r-u*#2>3yx0age`z+P~$OC@Jo&fxO4u8FKPMDskKv(@J;E?jbF-q^qxmUm7e!InN;KrjRQ_)8hx4UQQ
A}_K5a2~I$>D}Gm1_n?eDkp&6i`Y76LHIQ^Jv$pUtd9W^(uz)iSP|9M0>ni834tm|eWeE>&E1tMbv}4Q2EA_b(w!^FSeiy6Rp)qC)mzs*K*;~;
C$3&t9&q=o;lP%xGRPK~XhUh_V!U{xX$AUMW(Yf#4KU(^I|vKMDJvx=>rc&&aBk+#z9UBEU_!Wc5)iFV`M@ED1#lo|-krUVe#3#A5J_lWxe2P?
#AI57C6s&tW*si8YyKx+zc{#|e_D0LjCAesx&cVslzy<&BL!;ISi;R=7E0q3HwV^-N5(Q&+fdfv@iwJJlXxeWKkergv%kN}fG;^mEfKI#70$nR
*RdC8S4fkDqtu)4S6oyX`5UDfy^tco62Zg|AIWoEM`W59j)7sx924V&->Q|a8{z+ngs}Q0y@NU!SZI(f{!u}-69($BM*mCD))~g5=<OOL7bhcQ
bR%u#piL)_QfH2Jkx{k&)1buW&&qLoEH@_;=)CGXUxB6Yi74&lFioE5adk>OtPK^&Xf=0lJY-YPzCP7M5QA8p+pMWW(Q%XrV_HF(lARYn0Vns>
g>3nw8DWo|>X#yCqpFtY>!EkDZ*BHFnbGkqSvfV-*Mn!eEr@!o-eYkeI#?tPgaNU>Hbd)}7jObZFx|v(KQ{THeEXKAI;X&NZKj3`Q+LO=Bi6RE
4R(cZY?!`Vl+YxW9kXeVXG5;N(SIaZJ8Ejx;C)<b-3`Fh5P>9!HasM%KByl4oh15FEsfdMScKQs3$dQL1F=Gruk^3zT$YE~*c)uUDbF|Qy05oC
u{@)Eh>@AHh|=q~5`>?WsB}_gJSQDall2M`R!GS&QmEHuJ-$`_{l-&s?fh?qDw5V(auXt(E*o2GY@FvpVR8oygzDF9ghVkq(kiM2?TOx;@j!ob
^0&?Nq2kW4D!!VKATz5nwl+7?ZQ9bnlevXW$kpZ~d<iPl_SzU~V`s_H4;1KUA4iBr>QyzWmJ4bATlt{A^4aPvu^O)I^vs-G$zxzB=dLa==lx#P
Zo~)@IfSbH6ofLTeD%i8JT6W^hgIfu=H4qqq)m2UUVp|hrPg14tzi@jIrtg8#k4EJIW)qAUp`>9_h~Y_14^$CrlUv)?#5(kI*7i}&y+cO>REb-
%60`p%&BuM3T8<~AH>Z1XQH}tQs5I@VVue^6efa)QnXR78Uc!&PR?tx@!d{oVHu66k%a}1)A)P>Oc5`AiAdMC2{=AbrO{6eT@+<mok&?$MP^zf
eY3)qarl-sjYP<um7=Ycg7%F3(I~U=OR>FlWzPB3DD7Cj8Ik_K0~shz{OF<ZvuM??GF3iN|1vQEQ*tY;xvoE@)U)3J_o3B7S~gS;aaKx(zhWN`
hMD-3`c|5UhT$UEq3vX64bV}`Nwg9j;fLBEf}`t*(h9}rT7@=LXtDjTBwiR7-NU(VWk7_cHmn?nG2!wgn$avyAK!S;A#qNG`n1X}La*^b5yQX@
L&>FblcH%2%c+0eyj0E<e4o9H!V#1x4`3rHVF`66x?}X<g+d{47#bI&N+`&HZw%@XC#r2}ra8kTAav{P^d`Xce3Tg!Wh({q5|);t&r{IEvH4;n
EyI_;@b(rP4~2^;jc|Gzr_(&)*oTFh>FtypQ#dK?Axl)Kwu&c)(j~`{$0O7i_l_><6q{jhZV6z(-J2Sds?(m{z9K1sA>3OL1AKyRi2QaLEpzLZ
LTw~nxdAs=Xj46BPFKmy`^8x%*Kh=;p)qs}N~T&F9LTvh{e*v#MiOpV!0=d87;a^;l#-Us@wAO%ZAlF4*cW}y>SM)TPMUqJi->e0793Xv*7@XQ
(!X!Jx!Q3TG1O>wp!Yg%PdhB}VE4dWj3=s^pn-6?BEJuVGtbMQvR32brwMYe%<t8*V1hDFr5?r!kyIPtSTH4jt~+x!-P0%$y)!YC36G~m{J1-S
>D!urH~@HdSiO4@m_GSxqks<d@>ujVS!-j3-W5sIV8>KwHBcHD%$MD?2!C>N%w-zLFvP5E9x~{#*KUNh^oP`E8M5i8TIlOv*>$qT$#heygjVCG
jTD5%*f$b|lK$p<))aVbS&S?|JvWBefw$guN1d$<Q<R<6ftpR2*2Nk%Mhx^6;eG96F~pOSQy3I|?o7XUF139+>m+_jz}`5T6%q}{O?YiQczi`a
!|tG3XVtq*HyMZNp7|$IkRU_%>5R27!8)!YPo>)s;*(PkG;c6#Gnq8<(k`DLDz`4wlV82O@X?kr%m!2kxR!Bu9zy`n#l%A<BV%Zik4_S(LLo&t
nwVJD6eH0d4yiF$r!nq%T9pMyfMzkHa(yzI0u@W}O{5V9Qf`U}D!Qa#tYq-on0?-@49SjanzI1Z;KA}rJetm?5#-ySuI2lLNQuHp8XP5LG%{-d
2?+`m=d{C)1mhd970bU9<kqNguIwJDnk=3Dqy-5Pr{*ECvLQI}qd4`~xky?Uej1a<%qLTHbGQ<D<B(AiNjtQ|pT>AZ0a1A;Ls>p4RdiN*@E5!8
P+<*M8kD9bT8wFRRW~3a$?v>Q<LD+F4Y_3{sz`jH8|xTK-4G`(Ku1*q6Dn*@n2zL~-mDiNdyam#^;c>Zx!3*cJBS<9xzgbS3-e88dnZa55HIc!
+7D%Fgd&FmLd+;Ii80t3LbHGEgfxw7pxN28fG38x+6VbLze~p!MlI{ys&CwdGhv55$mWnoM)oUO>Et)__T~DT;jlNdKrx^`rm1bx9uD+$pHxO;
r-{y*<4M)@IA@V;HPLE@uE(+Hv}=zr?YJX-+{d0l?KpYDd`1Rz4MJQuLLjHJOTrHudApDhVdjkr*7=p^)+q~HQQh#WR-tc350Py4xI>WV9cR)q
l4t?w(}^!5N=s;dgiaian5qr6nVWi9*?M}Tjc;69KDw0=B?S>ZpNK$^_k-^_y3N5t^|rw7-jl7mR)=Kn3=~kiIm{x#Y1RtI5?>WEj+n?`0n8Kj
C1?(vA6CQ>L&t_!+jRa>UEAFvXH}fU!Bj((qnqF$WS(PV@4u!6tEdZ;$VVwx1M#1P-k_o4^=h4Z{GAQ5GVKCmQWPwS%jw>Xn@u4Z{6psvUzD8@
Po~Z(SrfHZX*UxxUfs9Wmqd?M4M+GL;Pol`aL%tZXJ8SI15q+xuAU9mtIALL+nVfI6e$Uk&`qbbCk>L33ZreszY`#;Daj*(c`~n{xmRf=D0iRY
KRc^)jl*kOb6Kk>rQ-g<cc7R1#GWwrH+l$ZoNP^hAx{V3;YL&@4KqQ*NeXF<92YBH)rfD(lwD}ay+=?WK~(A9`Od0h34QFe3sRTZC60u`s-mjr
>7Z895&wHic~8)T%8BCH^G{j1G@#Jr!J&4$>eK+ylF*%a2dyKYvj+0c*$9=)=z?<Lh8BpGHp8Zv$Y9?0*c4QZWqt~*^@*{OaTLiwKD|6?1r+U|
qj|Qp_Ue`6WL1cBTk2f<A99~`#u9V+L#Q>1mdy-#{l7@ULO6xP&xLm$p_hg!Ck}~cKpinL(~OncVd<R=6Pfmr;2zffN2E(io+vo2>_2F*$r~k;
H*$!|o#ev$xmU>K9m7G@5T}8|yph9tH7Me*rgqAt6{AGHcXR4Xi;SZ7I80_#l}b?p6#RyY(WIX_w>IST&U>)&eQ>fjwc^G`-;r<gX~F%vjq50&
nW97X?0qM3qiEgqh|XMvwx)+>n46DHet@&xb0WybfUo1rwTnPvw0mMqyz&!I&ZJ3p+EzkE7AMNS8R`q2)&J)&08y+iStE|`96M=b2?TtBm);8+
6Kiqk;R!bC)Z*1u;~fBH=$!RRs$I)Al}2?f{MahA>j$ceuR4y^XzCkmXO735eoz1i<-mbJ&QV)pc22qP9yT(yJ;8vW{8>c<^A6Z@?iwZq%aGTS
vZS0{=~IFky=P^E<4&k(HS$li3%$aj$o@tbQ2{jKyA1?=r)>Tm>t{?F(@}MFs`uG~7UHN&0xdyR38Bu1OD^5o71H=}d8Bjd#?xD4snqtc8r%3*
zVl2RhJ{S{xF-&N?4X$kj%Su`58#@h4~)hb={73Ox#(}+C}Kzi&yJ1Kq*zDBNao9mLEso>10p%h6!Bs>k;-78xjhI?L-V$=8Ug|b-heOgdG%pF
SWFM=8<e5X7@|UtqWH&FN02t$J3j+}k_Uz6czs<2;Z${?`^aTZh%=Gi>2l{BtQW^}XxQOYo#()}v)%#A_N5=~TZNOe%ysU{BGh5$@1!AbIn;QE
r4w+rSj_+F*gkPWCqoA6UngE=kB%6W{L2>#l4bwW&$1P;D8NL;?>d<b7m7%TRuc*n8GWt(BTc3#vGScnrbVrCtE6!%l$+lK)2+$6LSp&&Sk=U7
X;n*h6rHjVW+Op5k3)l<6XvO;#(4@iqP6qO1%W~RDqo#o{9$X>O?_pXR?)s1f_|95D_I?xU5EK>Jb7?}$%{dERdv(^YY!m#+$4oy;<PK5H&7MW
if=3vSa+eR7*U`3QGioU5GFx1ggEEZQ2D5LWu&@o-t&YSN!I6ll1gx7=D^c&@fx-h)#rKqIqOiYifPB%B<l4RPKe`_t26G2p*BS^1PQWK`{|@5
oIRr!PsgUQ`}l#fV<I=#&Vc(nlkUX0S|L&;Uxa7Ys0N1GIg9L5z+*_jCC?%&+V59SFmfl$->MmhD@Y5U9}ONU-Zl)oSt;#xC^;F)FKF6_voSK{
NjpHZlwp#@GHSNoz*jup8CV;~U}#$symi-N%!xA<4lEhn`w9a>(v*wWa4MbkMW^{k2>i_s;y*QePbG~LS16hvl!Bv@u*mOgwYdp6tunxIz}zd9
!MadQsJYG8xdN2EF%>av)0ngi;e^TU+2Y$MOi*MaW$n2OJogPh-=WBHSzECUOT)%UEmGQ5itFK3a=nSYj)_u9sna^>$u@n(M54-6X)R61puLM$
|L~S3ORSS<pCg?#*QJSo@Jx2lY#YtHxwH3<+=j}OSeTZujs$7Bn8hSvZIDn~tTxojULWWaoKrapm{tnG+GzV%0+Lyq$e-UoUd(mB{1?vSwz|R`
l$0MTilmPbq|XT$XcQKDOfbPFKRGHoHm`x7zlE<BK0><hVjA0+JQiYco=}LWrvkZp_U+uu{&0P2>~ju;n*UOR&0AwY%1vKK0ydfl(7Xhb7I#q~
sN5<meNLrg4fY*gb|I9l2;ZWLj8x3?`0$cm%}<jCG5sw|RiuktP<A!z1v4mMVCwj`PF^P*Xc4fHu0nY&T>L<(_YV#vEj|4B(QNTV1<dUN5T&m4
l6Dk?IbNHpRN#%BtgwG+>d6}FZ$!s+aH3P*TQL+4HIV4*R&AK9)cRv~G%y$wqsQfrLH-=Zh-yY3&_fbWwy(XN9q!t>YO|<pW)xULwRknRu}PS(
e34bYtU;5rve$0XKEFS&K$=L<L|~i0$DqeqwO>6-7lG20K(c9^^Zd$UT~=Q>#~Ijq(6mkf2PL*e4hGL~uA<C?iE<GR;~fZC#!{O$fbCt6j}WzA
!(xzvZhnPCvxrbRB=3NQeMNuc>Kd+}rK7Nt>EGvf4zo(<olr>I34+2nXsu+=R|PL^{mDNQYb$<N^z3%Fk+{i?#MZp?jC3QN8`Oxko_KRXZmpOK
g@SM=T-DQv88-DN*->GU!jFMR33_9j2cY$Hg6ZV6O$|bLbVwY)vR}djw(?JM9;K7cQ={(LLHZB-t?zF}=rUEO&Y{&1mb4_BZI-M}wT+4LVAgCd
wd-vLQed-(U{M+Z2fzr|PXpqO)`RxDN<q@Ak8Fr+-6QW<9W$%yW114HShQ{o+N4p|u^tjQo-AG?);iJq*Dc(S#*pu9Tjva;XaJRq4@dzWJsrpV
-~Ovcv;QenQRYI*!cNP|sF~Ex(w4VhoHho2)Mm~Vy=_2cONWlh@F>DG^xiq@Egeq<^Dew(y6dG_S~He$*AJY7vGO15X|qllCY&H#=emkMv$h{l
55;Yu_h%Czns32`@A_XPqc+vCI2#VK5$95MCoRl<J|9<}S$I}!+Ch~pUw|PG6$uO6yTGay1l2L_xATRRCn8xpxlhT=2$R_uk|!*OYfB9>XHF?m
$FWg;0`olIzUR!kQyRhot2)>X<CG${vW`&K(u;!Y>3qF`vT|HqRisF}k0_gOihaW&y^9*LmY!81a<pUeI*hUU4U?2jn8B<jgVgzoUpk(Nb9%e>
OO1_*=wz6jRAy5(Mzug>wHl8pDbWOu76C}k@jO=sTJelPal$$OzWfT4b-JwW%0Wi~-uw8x1d)*q?Z6(tbqch#C?vXyM`z6h-Q0r#SJz_RXp)^O
?QpJJ#f)#MSE9p`3<&hIr;Wf*I(HTs5JSi85Lg-&a}vU`USAUn8>lGXh?T@7nYJu=Q}xyn1HFW5NY<le<B2Oc@!td3QeDnj0n<m1n#y<&+jTA&
sZEijO8*NkEG$&@;z+13!3n#8oGMQ@te69*s8bYGPjz#?FoY5IP!L@*?3-YuxUzd-ZNeTHf6<H$kQ#R?$LZZ{?rhJWkyEd7o6(g$3SK`k(g*mo
4=+z`{fS%$Yh>i9T~NUT6t+<D&^$j3XNsb9au%BSq;A}Ig)TUyFMPzk2*woDouu05-EVefYJ(gc%RrsYu$-G}q$)=5O<1Yl1?|eKK{nI*fxa1R
prYF<{rF79x{--v@{62gv;jFcqj5}pk;Z35aUzuW!ZVeia<)D~-SbPj1CHSUiP!p^Ew)}vc_MOW8Ddc(I)on1-ff^C;)_|cCd(34B#?m4#g^+;
-iy0SU00;yrQ<Sk@vggAu4)4vUs4A6NOwUEc6H??3VbYCx|9YBBeV%*qe42eaYCID9B$4WLo=!N`UY_DHfuE;RnMK7-;s5ifBdw>$&76sB@Ac!
Sr(C;08w+=z9Fm!><#0U(uc4z$Y=E~u~FW2<5YGC@^b!?k~lf`m|pYxDD|ZiofRGHH#CFo(lacNIr`^=OU2`X1~_@oL?Meoq2Y<%noS*H;o~|v
EOnto;uy&ORp3(i?_zJ)MDElyFsL&klV~zVGlMFrVY9T0xnIYc)KDf>3U#MhPp~yaJnU;rSd+A(GMnPeT32%BS2pm3L@rL)5eUX{2b{L<ZmjY#
w+g0ZuS1L|KIqSpv5uGi75xJ;rVNP1+IvNd=1}NKszkDo5~9l&9@~hr{4+L-GQ;4X9X}me*I>Up$${ZFtli}C=r6Qc-6<HOLE6NbIN?uWkVSy0
8s4PydQMzg^_J^XZ|x$<Y&$q6QE4Z`T5riJyR6U{@IhA=iS5c~K)~leDXNUo1uaD(FJYnTq=q@>KXg&m<kQRrT>_7c(Yrb=n>AYbWyiJ<ltpv-
g|;^x>G5et_$o9QVgF?Hs%|_{otceO^O_8`&}GxYp>Xl4>K}V5<=sGA!eaxO`d^_X%`EPpcisiO<cCvFT80m_1amY1NsB;rTtcD2PDFaPZ>L&e
O*`uamw*6!Fi&DM-urXYiVI?X^D%9@e#d`RQ0!EtN<O8^eZq)PCmILmyHA@8#8PI3rq{W?Q6V-7_45Z6s`y`Z!-m;~e#5mD4n-wYa-2i$3id%j
E1$Fyyn{%+P3s<*4;iwvpa+;b&eX6?w9+q>X-eWKSEU~eWD{dwkl%o?t~sp4iAxu`r_ElCr50(AuH#Z<c40%!6*atI<bM#~3Wr=d!pKMx(r@Pd
#Bk%hK|m5eCeK@Jf>PusHNn>cc_)o&1LGN@thtp=vL^(adGj~6$*+s_1!X4oK}K;UK3yNzae&Yy@1#&!y>Sw3J-&XsS6B;71aPND@rYC|umf<Z
el#Pn=Z`J?*u*$E^tx$N@JaGiXfqFz0fx<gYh*xV#57q+!Ucf=$yyVas(JoNGZzK{QjMe-!@>H}0vlnjh1N*p9Y%J<4O&rCGhL7MaM(0;rRtzJ
S9t<^>Z84HG7e)@SZ6V??A6M<rdL9HptE5-rXOm<N}`+ex2corV$@<Be4_4ZSZ*}9=`mhK6;irW^)W{!N9{l6^cqkjB2~?lvmHR@sc1_UC)yc<
-!^W=rtuo=o2bZGjgREcak+WyI#Ig(TSRYS665EYZUWODEt*j3l7ATV?XpTL9*~hQRMkgv!K9&07bja|3=k(sFvxC{EhZA_k>TDA>b2)^8>&{!
w<gN^;?$(;?AN^iNG)Uos7gQ+I0dfY{cX04jxH>~D`xpa54L&oPlBTBwht)x6POr=&DbnbU?2Y05`}65DgVTp2CGRylS;!uUtu>b%AQ|g3qJ>a
+4#1_0blh-Ztc`<6x54!V(bHs=JHzUNGbds@O5s%n+!6BT0R)pZc%gMxb?l!C9oi*lP7}R6Zx8sGJT!R8VIFxuKUAYZtfWCoZ9bDM3V?kd|&29
dcX#PP+HjmwDe%T8gadf|G-QM)2rx==ZNB85yx^SYf`$}l_f@wV<HBc!>dm@dCEjr*?QmuCmPyr|I!9bU)zMU)OH54`)<yxbJSBk{zs+UL$T_6
d53Eo`yb7pZ;++1f<T`rQMcXn-cGj3Mn{Z45L{U8j_q&@RJ%7I>S5TYej&x*C>ZK%*KJ{$5|(nYxUh-}#c_3*+at0#N|`mW(DiBr@D{*4%w_IB
Q!uQI7oLiq-dky9$B6gUm^(v=^`Gp|G$8CT+BE0=SGMyWLt~i}e`baCkEKl*Vj;FN|Kdc$;!Qw))<8FoXnfABQC96q!+NoCD&b&6C!^f`kx$m-
Yr%f(B7m}RG&CN(mn<@hWG0Kvj1<AogVQKTma2xx0GIsbmFv^i&3!BD&Yc)(;{0#TST;`IN&c<9%*JNhQ-yav!AzmQw*ldmzSe(4Ev*UFM5$z>
Wt$L%0Z+T;k9yJ2fwc6_n&QwsJ94ydi`Fj#SvSPzB?5`iQI#}JqDqyBeInw-wWtNhE+jIHGz3BgqbMidQ~Je=Og`Vo=fxHbeSTGCFgP+wXOV^t
tfp?LAj{I|m8EPWs25eNSsvg(V2O#eo2(mq%e@1YIEnr)VCqBC3GJ>5M1hO9r{+qM7Y|VJ86=q?-=lDl2skQs<~1=b|Ail%L<WoP=lauSbU!+?
NPHmNwHj3zI}Wjc=-~94+sMHwMD;M&H)0K}nLOI8<bV+(BD9ExsHUVX>9mNH^vK#|z`T9eMXtULfF$Mm;zSQOZKyT<1GT1Y43}d$35)A+tN@yU
+8Vv%sE0w(Nz@4wXG*^YUwyR%Sv201Wq0o|8&o6RlNDnZ70Un?Fq7i`Xx``&Iw*=Md{&#=P5msnCl-uBEAC*#+i)Wbo{k%#9`-9DK{G*-`*(^%
#|RnaFJMlW_OU2@|3^51k}%eM{umj+N-tE|)cpUc;E&0<K0$z{Q8Ki0vSC8%50&HgUfS19^1n#&;#LtSjIEC4#Qyr{u?y3_2jdZZ{tHA&^XA8G
ysa8mf-{Y(OVzMdVAJ8N)1n4M)eUwcD&=U$WTcF@p()#cB#H)d1f4Y2i)(vy#;}{e(6(?f*+H=gv6*PebU(QqRjC@r(F790!qhoZW)yYPy9nha
A5Fbb$fe=KOelSWn$rN%qV9aY$F08u_g?NTMXCqPdSgdrfA@inakm+^mIhJ<ukjY-Fk!&o&=95sP*hyeW2vGNPQ8G2I?Ye^cmEKwI{*5{eNh?C
#xr+_#mpQumpYb=z%(-3MCGsZJz63Q58?<pB*cZVBU&dQF*~&bU)|ln-Y(SOH?<%3;7+%hB&OF(Tth@77@(l{^G?=SSxi*acqqVuBDgh>gwk45
2h>d=X7oe8Pr)tI&3Q>)*3psh6wWW<F-}E9j}O!s<=$X>2@X|J1+IV6Mo|2;*LO44)_Ri!cSALclm3RBIdzW5+dwyu65>|SkPU<$U-WjBmlV{q
VITmEq&NoKq+1K3RY}KV73d}5bOa;iyjl(qdTtU1Y<X_Hu9!T?SRZ1FPQCo0zDgQQ;IB^1lr8h-^uvAvcjPL_j?OB|XM5G5cFD>?o7UF9m|EgS
P?qeko@|sF%P%a9II$O|q&`!*7bh@L>VXq5-Kka>PNNAYCNf<p5)%k)c$>D<%}Z3<2X())WE#RcIFQgZZ}gNgIeCQ1-^~xD<0h5D>kl{WtWBoB
W~s4-M6ZlGrzRN#g6H_yP;^EVMd43OuKQ+Xubf>`{u0>=Nn|nJZ$@K4WUb4c$EP^jIdh^W7@wvJ8=lerv0MgVrC;Mc{KCTMC{c^h)S0D_m<5!L
R68$&8_`q@LBQ5YqULO|6K?|qEm*T5IMZnne+(7=q|_Jsgw#;<g)Xq2Ah`fFgjc*OKUgb2In=;u)=+F_Ib=(e<Pk`XVSMOqNX~Mq<Sp?eW%IR6
bT$;l%W+EGZ9*CMAI|4lXs5j!bATp1^o(h1t%52Ugv)E$PPU?+St7>)!XA3wj1v@71(oft#utHHrI0w02EeU{+cXHtjC*@Hjt9}k#aVTb=Sg2h
vMoMPA8@_h>-wt=#f{Llvrc9h%Hfj!8eJnx;thqg49R+ZBlQ-y$yms72A}v=z~`J%owB~YCd=nwDd}rbeDD~L`3Z5f$)ArAt-57ioVq?CDrnHx
y1|5Q1Kk2)ilAySh+7ab9jJ41Ld{`g$(RfL*mhV%KpN+U)<M_SQ$Ql=G2k;R$Kig8mdd1AM5FO&8WAJ^^$XI(fws}9;^BKL8%qs|hPEZr8(OjL
?Fz~^WgCgf)*a$kaB^)nT1lLW*aJ6HU~!+?FwI0k;Kt7{WBAn*JOF5O=M1i%i1D7%IE^~ABx!~1AS(V-70z4p7Hj5V=|sN7Fm#jtV!oi2>#9W_
jaT>55VJ^2mXi1oxf=c?q7ukA13;9h8&z(S0~t;R)0Hrpj=x2Q9VmqwtpgtgQk3PBsouqRz6$s1dM6AAral~YGR^B=KYpTnp|jG_1s<GDdT)Pk
{WT9gC(jXN(s_SO)__cIvVJ5AvRcNxE#LP8<JYo2_w{so=QqRQjFNYVE+7=NyGc%`wU$^79)ffT)QyA}^bD=?SiSoy?{u42Gm86WaLKZ1KoIiW
;VTuDmWqu^SEKN{^a7z)GubROIP+dQ<kYOs`lJtW@NGPssHxryga53K2vp(b7)JF#Xr%2}y~63s$_k@H0`YxwPS@T=8Bq!Iz^{kHFdqzdl0@WX
gWbj#mH!vLUYg`;m^e>iW>FyvXf6}(l!Q65{u0znt*H=WKkvh1EUyL>l)feEuYbBj^BbDl<Tp+bem+w#oM?&zK3F*B#Rh;{@y#}d{Lx`BfYe;2
khNvPn*&&P9$ThQWX@}8pc}RmA?=$lGz){V9nj&9V?HUs%qsL<Q3INK?8E~u|8)?Z42S|GtH^jI_p2KE$7Y*z3{Su=NYoy2%-w#cY+FCPY8OK%
L+AV6iU$d!PI>GP#y3)@J-^yNZuix{>O&_p((rGwug#bB7hW<hju8$$lvvJFX{bXu#h2VWIW!aHjl2oJQ0;RGt(hGP?<YTKT5p;I4B3?56hl|#
L>X8`^|Dn1h5|F+G$(psYc)+}qogAo)L0?s*lva*uJfk$3-`3I%n=X%i;yRCmU>j2IL}N{hu!P?Lu^fdFg(e*in4{^?!B~XYE3MUV$m^yVP^Ak
o~_AG4pVY!8>!$FzU3rREmh=1U?pYMEKz)fuSE(R`}*X_QD@dYDt|n0*+C|cVa<uZ7>B)}WP@XPBGgExodt&RHlhfEo=-=!_gQLPt-4Svca1i&
a5O+H_T#W|$LAK#b%&u~Dr~;BTg&zZ=v(?7Hwdq~XU|TBn(dy}nqxdj9{0vVm2W1f0;{^IQh7pIQ0i|dk0m9TxUie=)RcWx1Hw(zb@~Hc9GPjJ
z>iRsszH^i2e|M#OR$Naz?Dn_>1h3c>sc%p_GL}GR^}Di`SZ4f(z(~%Twv=~%FWC~>BsMUHhYfN=nR@!hB<HmIFmN@E1JI-zlh%4Oky`5Y22{a
$l4be_%g1)IrHkkB`|6HWGpB^&BfVv3jb%_)2coA%v{uj?Z1(Wxqq9s9JWo-@zjjtb3M5m7*Rpn&V@5@qh(VxRJ6fIL7K&>XKq=!5DI;Qr3FCv
4THl9e#+g!o`Mn(YIdN73o{<_5@<u2Q&%Bvv|#!*t$qX!mfNU1=Ly)@4Kg4Ced27|9(wEt0*Lm5e~c}xX+ZahEjtgHFl}M_MIR)6U(in+Yyvcm
X|u-jMv%NH+;4rVj;q_YM_D;)0&}uAbykB0MRb$mud<~zaoB&t!mq*$dwk;$CI+kUol&FO!cM_dcxUSB6E3<^r8p_8K>p8AWTVGI1A?S|xLx<w
%&Td`kUy|dN0{GQ?ydSZkkP!&Q=oq6n$@EzZw&*VI!o(KW%UCJiVgCIz5j-5r8ng@@k*-MR$4xi3RQv6SfVyn+g_QmP)m$FWg8@S&v&x0!8<R}
8KY&2;)eo@H0o`u^5%)=DE-E>a7@$9+L^AlD0w$5df{BAN}+De_n(YNG}w}{z7Wv%t~>+AvXA@96IjXh_~PP8@(^}l*ne9zU40dr{(L@IU~(eb
P3JnbKtUVm+8Tdqr=B5jw=MWY1z{|qnfaBu(y1h(Mx}>B!g?KQQ^82~)+rk~6QIFx2$Fqa6e->}Y{HyP!~7##f}yVTl|3L*9eN8lBx9vutwHaG
l$W%K>p-8gcB-pONkFODAxq=pnLw+JEVj|;;q?#p2C|1`S`Mi;kEr)Jiba^ZWtm)dXV%z&O0@DSlTPcLQ^??G(hA>>dUI&gL}|_;aZo`dPZ>>M
Zh-+IjrSgnyss8@{kAm_NOBIiOqvP9uj-g!&Tkg9$1sg4>YjE}DbNV@>`=8AY2Aus`(ZRwqvoeF=buW0pGGUev79r(p(JY>Ask4P)mmbzfZ-y}
LXvwt`BOag7@{KqCsN-+4qh%6D55~^+A9h(u8%{%3nU=3##YE!SVv(0%gkU_g*g@BDtgSvW5Wnu=Hgo_o6KY;C&>{v!iZ9#-aw>wVz^M<uenzD
{uacIb@nE#=r&AJ1XT5#2bsv;ZbNN=Oc)z6@{XvU=)~JwyMV+Gss8?^PFmWSvVCdEE&n>Dm}gp4em|InJwyw_!Bkp2_=(9SVgR=0=h6n46C>ei
=5CTIN~M>^WK94@iR^RVh!fLj@eiMrOo%`$9q9`TH(cYsDyqw(#S~DiMbfRkBT0VS;05D3ey{ZM0Vs8OHydH$g3fMwEG9~D;!ys~h-}tGz!=_^
><MYWjjrNj%*hfR^zYpY&`>}bS*K(Oejw}xIkmmgA<0&@`a`fB%=h)jH$q8VXeNM#)7yb-3Fa~(e{*?%6g=iJs)dt=ADxcGr0XoA+5@*r;E*#m
#!-^vSfGKm+8ocgHA=HCle}K(Xrt!+^-#<Lg?-l2tCQ@1%B-Ce0-vRDymYrdkj)O<U@*&zHPpyk6`4Dx{|ku-9-qR08A(SW9H;`FGa@|Cgah3K
QPEidF<6u}vOkAtzmrC7O!HC*M7#XhEZjJt$66!|x_F2vQ?kVfOlZ)%e_#ul_1EhIZG^!?g2N5b;-_X(EFNe;WbhN?F5^$$_zreT#wr6+;UfOx
Sej~4n%?A?>#u4E>xGVKA#)%>KyUiUbCF8!+cq$`e_JQg+l9Wq#HM$PL&w$qx`JJfZ%e$Qa#^Xn!nFWJ>R2EY^#~)ix58n-5Q&dF-Flp}M0zKv
2QY8~TI|(SjJqodN_;)oJFA|7N+k0(JPq;H`8M4#<5*?%G0Pfco$pIgxt9@5%)_{G7Gda?b^&U&p^=~Xo;LsEVEP}!;Ws3&@zj}y9A@RZPY+)q
`8IBwO=A5gmP11&E+lrP5kqk(=87^SRy_{ttaocyUtgB@C`i`5Mx@Gg-Zm61e>*E}+=7ks&F?E?9}SJQM#floJ|Af~>_A6NkOF#X{8MthUkwOq
#F4yX<p{)95*M~bNm$*(Z8`!DVokG#`%HylW*6F(@?v&%8&z{dsQFlwNdo)A6pXz7h{zlpivR@89w&NKxuge?kn6)-rf!F5QjQXRTLFn7?0oA3
YU*wf)&0&evr+kKDumXpl0p9BYsPIPi2wF>-X@fxjg;=wx5TrUt)VViQ<ARTSovA*GrImI{~zy+ys@(-D{IsfS*VfMLO@bUSUX_`O<9xzJw8<!
Oi?NrVxwNMg7-gQm>lE}%IFV;`#7fiq;DX+4`f+6TgAcvZ3|RjBwGQR7S+{3Y|MY1s?}QhV}T3sofE|q-pg>u+HI5->nK#z0lJ$rM*`9M`Pj=Z
3il$&szFuT5LB@-pPg?0t&<pysw|bgJ5P78x4%R8f_S1UI?+=rPbLDwKX2{>j@7dMH$G?Ozc}TSP@e8F9@tk@TB7|K(0y(q#2;MhhU$63IF{;u
^$Q#O{1RS>vB>1XPa>0El<qPWn{$NF^BFZ5I(dtRFw<rm$MK!p6kpx47sVO&G;dIF2+H)aOn&64zvCN!E-ceFTDtA1+*GLLa_m1)*?E85_x)14
(=sQ#+V$lfP<Pocn|NN!tFNR3qEFtZ?a0#>vo!>oi;Op$f>s$z?{{SN@WB5m0&zzJ02o>_PIIte?&WTwAQ?1oRMr+2_qp}ve7Dkew30~vb}OFu
VLp2!141ud$k)#r9csxmd5eA}ydWu(Y*Hj&VP0$gHG#EYvx{u?PfDCV?WqQ_G>Z?sHoOW(4+lRgcwf2A@5Ff7_>jBd3<9sMU{$jGjp4|ThH+Ms
3w8%aWTAdeqIgu;1`A_I-Y?uU;npX5#9pGPhbpm>w2S%N#?gakhheG#sJ2CbNC|Z})a&F@r|}CjLsf`LN)wPydgZVRiVTwTD^3?tTGL!tT&}*M
br4yC)!u&r1!7_<#Y+!i0)s}b$epLGJF$)ScK?An@9I|9bgY4bEAs{iDz;&S<iQMCNxz~UNU9{KCoXGvM)|FFsGEyA0>L=>uujd>ZnH*_(*817
71leqq;2c%DcVg^7RPJe#s;u?@9RBG0Hz~VtM@=4`49(4qg%Q7s|6ww)#xLdVqoMvG5^n-V_G}i0$V!vtCuyDYje&Rx(!A{!*t`m=xm&NjFSC-
kgU{qj+V|h_xAe42Yhuu(%aL?xM6<#V*E3sFr$<;pxl|v8HD%!Vqkw2)1ZGWS|@jh)QlpIY09zDn_{ycjcwhWrd{;nkKNEMK81^wzObE&%thG-
sGUEhXk55%zRgBUgv^J)Ar_dX=eF)Y?W|+k*WAaDT{iZw^wc_-5m~Fbt)hzrdi`0iHIwu$@%Rb$mGOKMO<?PH-7}I596o*_TiSPTjNdt_?E}4&
hNcoaqQ;``_MlMjfbq;(1y&TgCRv9{ZlYdHaNT-g+Wn<@d$1_v--pxsFo2|0Zg6@)B$mSy3wrzHRroVH1>+o{&LNrWo9+9b!dw1iBzjuS&%^7U
L_&O<VXB576ygWzm6#i*V_=F~K}BcwE>dod+YpS(@x8@5>5@SpHoQWaP%&fu^K{tj&G1C+p+m%JNn2GV=b~G#%Ov3jz=Bh%-m$DYJ<$yyp|NLh
IXX6E+QSNt7uk3iuhhzIRveP?rW$hprS`|Sqbl}F@`f0g6DL58*z1^XEhK`>JBKc_<Cu1LJF7G7=su-04;ms*`>j(nHAG$*6rNUq8cEsgDj?)l
D<F-L(1L&KLo9D*dw!=<eDHo)(IQbHno6AZbe$MLOAIF;U6~Ej*ojc+jI5;y1z5CQMcr0*qR6^t1?3AG9-^t38J0TV`JcexnE{1htb%To`zK>w
Aeio+gom*?g}FFl>DI(U1xHQ{I##-t%%DtYSDupL_k6oMo<B1wU9<_18e#f@iS!a81B7|!t(>41b>b{t8ZrP-w%BCCm}6uLaxDwuFvqhpwjG(>
U@lzW-rpEsMj|@vZV=n+lF<^HhPm(Ivn~e{JCI3&nmeB>(#^Vyr%H|7ncBpu&QZ9!s{NA`PjuBaYt>w6OSi70^ieOlmB4}|40@W!8s9hQWv?DP
Y-!eHE9`S|K&-d6t-A*9*73Ufi=rtDrlhF`#L!F(N|WdS`JbjRPyOi`EcEysbD&KhnyE(azygB`k*NZJ*;yD_QK&k(p2z&olx)tk8Mm+WhHqZA
p3di&4s<z71+jot6yd)6&2iC~-{r!ahx0H6WF$>h2}O!)AecJ7F{x@<p++TZ^6oMj8j$LGEc<5@la_<NiKlIgSL1v`*UUfNYZuAtkTVl)C~46Y
y)?)lMqp?wqS;^$3r*e*`lyTLu@)12d2IsW{!q4tgyK2^j2`JG$y5GM@LzXa-}=(SL}(c`^{nIZMC*YfK`5S{)YukL)JWWUmT2-&5>Qo$JJO_K
J|pLJRWfBgpXRz@6CbFWi9rF~_(o*mcBq(P9676a3|oC8Fo>CR-P%-@%U|^=pji+qgy*4CCvy?Grd4hQHThZ*D?1&xSUz2+qTlY6jHu(8cT^Ww
Slu~C!uk)GWLFa-wV2$PE)1^Troh{HO3*I|6;4g<zE19VmI4Km2<T9gq#&AkCg10y!!gHRRBR2OqT-EIc7VB}d%WD%a14g4BVd##8)8fXkjb|r
R(j08!8eBT^In~1S;rx&6`ea56If6zEwKG8u9gfkLHx=Rs(<-_O1}tCyM?$ErgojA-|V9D!uh6?$%<97jz@^m$=tqdvj>)YCz21gy^j>14~+aF
rs3ZuK!vKAMe8>Gwjn+^#*^ao4h)CdG$3$en-Z4~KaPmR2a8nPgwX=ssrh%6xRG0k^UnTNYkVwcFT~R1ESTQ5j2y)`=U1w;{ozoZ_>U-WMqA0m
toy+HVqo~8DAH<?j)ZT;77K>lROJS9h*`D?)FuC=CB8*nYx*(TAj9-119u`D;vo_WqRWE~<R9XJ-oKdEpI)B&ELEkK3aN_wd%K0d35PNKOHG~A
wlk(D-r$p;O!ZM<x^S3Dizckjwj(>05k0vMYY=A&`UNMW#Q=u_MoXNL^bd|tdK*!Ym5J3D+5_$aW90|ce+|1GTDmkJfP0rg9w-BF%+Y42m9xtB
V#?!aIDBJ+gTHMIvz12FaZI|lnIlm5!7<$izCR@4h5Alk2WszCu}QwYYJ1Y1q3o~D7mSpbtFOyFy|{9}#$8PRz$i+8^(vl11Y@!f{x2xI@$G?m
!tsp`^O+~7A!}tL|8TxxVx^?F4i~9bfxh^YQ|TJC5fuX!=c@a_QE->l0E^O05GtM2SnuGNVtr@p@tvy^(1Y`;&<E5~l9()iZb=^4;2NZqN#=D%
4rhUaf@^-=5vMVsk>TFfLJ{uvNjyu99$MlPK~^#~bc=}B_|uZ%tJy>f_O$UxC=t!Eh#)KG`{+o44EXuVz1WN*%c?YP@Y(5{F5$Bk4RHz_PL>Vg
V0wj+AbVe0^$Y)7J4>``6Cy=r-WfzVjmtyhVL47mFy)oA1otOOJ4vCpxy?h?VANW)dQ+6`RR-|Ovg@L@h)w#`HZE79B2+R!QYS!IP5zuY3~J~`
Kzc_<a;JgeBx1BWNLT@jq%p1Hf5#T90T99N1;m2-cpFL64yd-CbaO#4L2R<ZGc5KpAzAgEHCn#1M#gkH{z9YbYG%DPY}GxJn)73iL~2%6Kk!v>
9ZC6gF!ZEk^licz?IvI~fTavX^RnXcMgx#F10_Dj#Z%TkKKDEPu>GmAzGJb-(h;SXl0G{zJUDJ+Qrm$p#zivbjO97T&G~zO$^$QS)-g{${-YdH
eo0r*_;417d0d0`Aee0ali9iEY{ZKuAjMB4B8aQbnJHS;4Lay02&jStV^NH*znU-WTkx<YkR4cTCa&sXcWWLs`D@Y*_d87YUqJGy$<fjb_k#m3
BeI>PYz}hC8{E>>RFh70Ff?$rVl0X@7sl{Om&#WO`i-y`_S^Y}po=GS85!4|Z^}OaVtA8oVY%0EerUZKq8U!K`Jc9~bW3uSS0)(D4u1cqZKMd1
&N}_$p1w2RbXBI!B86fBf-xs<CQI%8T2vbY#=HW!kZ9$e_G>K)`wdvDctRQ1Fo<H9r<d{%E_chlAoY*DkG<}|#<&)T_lD;6ge&1;!&V2ZI9<~F
-UZwhe%{bCh02!4Tkx<MH5g`Mtbya;V3wX!y+M8NeIUSLqIF$BQz{JGKZz8{nDuQ3^EUs`0w5YBD%5A3Y4;l*h{Go)QL8vuroj$(BeE(*F^9d-
=#TX%F+hk=9Xi>=cw^KkF78}$q+R;(K`=dB>Y~viK|X~aQ;iPV8qbM4j_-QUb0rpHX63Rj|E@pyQB|&`^kedy>qx#cB%2%z5}Q7M(foFll=sUb
YVWC`<-2d4Y;QV$OHBe0ENi>9pRzy|g8nKaX5XPEmFZuaS~$;0{L}{9ejUo}4+iysNAulTY(J3&o_Unk*6|lwRx99Y2nKrU-IJJWp<a#qYOD2Y
e-xEl1%xt={4?4hA@<UdlPWo+%!|)1RVJDCTI%{QQvoLtAKf~hbT9#Wa?nGyH>Wp&s9OUh7<zi=erZ+ScNLcn(R6QeG)2~f@JQE(TfU|cM!~Y+
@#%u6wSyv9d)a8^RvN-GT_Z=+4pmEEXeX<V-0c(7%m|XY#+e&;#HlE^t&b{eaxYN*FI_Z+C0M-z=d^cLX<D?sE4?EM;8shf-SQTk)tN*@Ea9Vk
72JbCa7%%xlZ!x|N?huUCaOd^=<74|rVs|qq@c+R*)Z`u?Be~=k~SVXU=#-)A#D!2mF)%9EZu^JS<7=NGl!|_3fk+SP>elHJ%Ie&3FlUeCIjmr
ndP?}+GsrHr!z*UUth+{7aZFsR|s@;nxNiil0_#x2pNuOs>2T9(=N%CMzkv?r&xB<a7(o>NMv4+FKrfaCoukGQ`4d4(Pp<SST`HjZeJsMF0_i9
&xa!);6nzWak1mw7fjyU!fOOYfR0HGH^M-wZZayBKT%(J{|$-?HDXjWFFYBc6_3L4yNys(Z<l!3-Zzcbt~tu}u956sxS?#?o5jIr4-vAvusLI6
{ml-4N`HeOCrx}SQ2i;5^v+3dpk&fK^3*~#kNBxQT2QLxHFUN|CyqOVhqB9{-4O*D<0J#+do@DpsJ}AAW=<UC(2<2*u}^j3X~!q2DRp}w61sxP
%hLOB4kvQ(?g3-Pic&F+s0%}2V^akr+6n2yYP)fGoO(aQ@%Mpg-MzP~+};wi7FcX6p28S=aVXZMn)~3@)s#bb&64FK+|5BJRLmQi=x*pp4hjup
B3H1KT^n|&4&X>$x2>{-bV=sRY;2Q`NG?6V#pPmXDo%drITci6CAOEEg3#J9_ezFjAmr-tNZZbf+`NmyKjL@cu~c(_dsd|FoxbHk?f1GH#lprK
>ln)C$8uFDWB<C^(wvMl7yfzUD3$NZm<2F!dIfG2lI5_hcZ`mdR8?&%kbUTNFW|(wwPy*p;fKeW@3IO)iN?FqK$yvtO{Aawq!~F8rmU`9*CMo{
hR$Y^;aJ|<-LGUDUgBaNpz_3-e#T6B(6H|tF@x(D5hc<&SZo6SG%C%(H6OIVyRK1qOzw0wP+2mly0P6<88NlB*|lJ?{G9CBbiq*3JjmRu+tb-Q
&Bc<+Ps8(pb?f7^{@_0Gr3_wbe5SEg6$kEH8Y5H6&>R9p1xKRTD~IvE8v`#}gy0kn83B&e36(n4waO}}H-caEyFa8fjaC^&Yz;=WDel9JA>(MH
K&AQEF-)uGtWhNX(H&*f?uk15kevD6@`9;mux6Crk)$k7iW_*HQ~-QQ+A!{xu9lx_%~@t3s`U_kWMKS^Z!=O!VUy5C0f&SsDy}r5blLTX86TLz
MSM$foB&Q!Jq+*5fo4d;G{mIg(0|v@p*n0O`u<i>fBZqzYsCl_z=8}`wA$V+n*z{6AG+9l>+h6oA~?LGWO0m5%H(48)qh%=%i4b%r95Hi71k4w
#bEE5L*85w$2wSeOtr@lsCF??K1R$|h8}5m8%ki_1&?jBGjmh$wGQzZF5iri*}>tQz|Q2AC8neJis8_OlvMa-drOGD$f03;j-0}zm7U13pXjk<
ws%Uk(zA_u3>85yi!8oiljzS;HX8SK80!-eloRgQGb!Sfk{zE$<_gB$q-Pwh8up%P;3H9D!{%H7&mb%CDQa(1%#1XcRLZ(P8mfF^h0pO?F=%5^
bdcex9`Jj!^LQqz=dnK0q|VjRak20}Gd#*>@cUp<L##D|w)Z9bfNa{nAJVO8o=T&7Qf9L+94+_@2us(LgMHmU?z<&F2qTb{=oif?9)d9Qg8f<K
R~YIbB@{cQR)vQ80&b{Usj?%QNjZM|N>kQQ-t7loXDYT55q|lB5o6WER$*aE_-<XPnjA<dEHmgy`A84*j#t7E=FmwybN(I%Ma%t<HX@q{khL!E
8h7Kr8%2}SwNOxN)~ChyTaKn39^iQI!=~l8PNta6m0Sqd=SZ{6)P8S&=p&sC@61EYTe9RJOY~+cHz#6dymvhA7h-ej6ZJk$i^?b!%)`zECk_;t
A0lEVtZNI;EMD%{J{|t6@oQU^!C%|uDSTJ=4W;%&bT1T~LZiY;yG=<)p*+&s#c2fu_?{XY3yc9XXJALHfyTVCcXn84!f!*#J1(WPxJk;TH(o0=
8GFww8_0D{2Fl+=n4S;>y}zk0?oPK#PeSv@I@lX7$S4BJ*Bo**wBKt0aZbPy1w`>+@^oYz+?m2Si%;Ovx%PRnuT{6tA0fx5r!-9h7tdi{mKJ+p
V<&d54BW^hw&$-Pvc6<!7F90ykSA~rB~7eN07O5ts)5{Xj533V+QR%{DIe8Y(oC`%$<u2dX)MyX=#drgYeouS(K{m`=pbj<S~@m{XV8<?8KK<{
1jnO{@ol`<!4)7HuLDk=u3(m?g{JBj%k_EH-q(GObrjE$l3)~P@vHF-)ThwN?-1ql_fHlg(`=9M5I?n9I6+36_<>Pd#bBc9L8}+0y3O7Vlq!J%
b?CxFc*LnsxkpuY=wFt!gRA0ll^>u7avT8Nj-B1T%d@FSi<-qa289}0>kGy}yQ4-*>TNXVz_(CLOy(Zlj*G67mX7N<d%Fv6^Ulc`vbD3GVT@Bi
=`&pXiMjk*I359|KD04*@ss@-!n<c`BOsT695HgN3)4ifK&d=Mrz619{$NN$q8eRmAcmUZebN`hnJXgS?q#z%^IN_;8{u;Js<?Igp=kev*B-oS
Z=xz^*gjD9&-UNJb!E7r<Fe@HnmiQ%mqV7W*Ki{idZ6CUkl2a$thBsR1DLeR7}JNnt<|^>QQ??ogKL0l5^9yEI`Fu`Omd3|GgcttPp^QhX_~rF
(6;>^G)hQYC|V0g$P!$Fcc?sc;E*;%qz8l}@|{;+KyTuS2q~YR@*G@<e5<LL0~_E{TN}i%742Nd<;d!5M-6H}Kq09V5P}2O<LhN-wqJh$<Sqq$
7NR7*W#Op(*I_|b%i(J-POovJWFOblnIf68V<I`&1vHrBQBPT(j>qpVSv*{Jv_HdIpDd2<=FmB2S)2EF!e#SD3lKV?tX+ef{IiN;n7j8^X^c}O
>OKZ-*J{osu!>~tmPOa96OD4n`#<15qjRKuZ%o00m+TmN`R0PR;3N^~55f)Vm3qagi97{OUvDrHqaXL4cv%~88P!V7&73_9758A%oSRO6P;TCk
%{G1xn#RyO)796AxV6ctZw0k7QuA$DHT%c|0udkq5~fqd@Xy^{y+x4qvI}0Si>z<G?1BQo*%S#aaA;CIu?BhZ_nGnGtE6VAJw@DpFuS19D~zyk
Fwgn!tU0q2X`1cS9eB^{CAx%m?1gg0htGLYP4%XM(xkuz3e2dIhW%`GLAu>jM<N*5&QDW;<X*|>nfw|1o=_T#p3#peq3wDmdVYkuFwv4COBN`P
b-4$nXVzm~Gc6~c?*3%hZ;_qrYI(3Loe`Th6`aNL?*vJe8^_NUCn^!HsIWQ<5fYz|%Gg4W=I5Buy#6`Zy-*kUB73(ZO%*4CPX$d-WxlgX@y!>f
hvSQ5se9Nn!#rfoVzh-op`<dK%ab7H5ai;%#gRu#&fe(Mb}>%<qN#uj$#|*^)`JT~Cu`iaJiAQ=j@Svhc{7KzoE5&!_DoTcDdwuL@!~@~&Z}qJ
o`3$l#l#i}6&@x7wHyXrYz5N_<JZeaIR5e*_N@W%)u?~Zk!&B?U{pT^iHzCLabI;>Bk$H|j2|_KwXg<_n_Ag2)lKSkq9kG|(AN*W?D7JITK2$j
@)j7H*MhG7<k+1bed?ETt!}jb1EZ8hmgrtU)gTXZkHC4$Nq7EQd<9xUP+T@pXkJZ;toxi$WWqN#SGz*2FrVUEF&|WX=L@StvPP+kTXd&Mtsrk0
PFlY9!eZ)NS`terAlqo58}lo&s)}ay!|E!0YiIu!3wt${L0~+N^@;<9BJo0!p!g&xb7}8J&f4AyL+N|p*zs=aXaiE`!qF!0M$YAZChHaEN7tdP
Y-hICO{2tS1P5!M`yeWz)O9mq<X!=OxY{}`-*P{Qw<>9(mMG;3h1yRnTAvSt?p3n|^;6X{zhOYJzvpeXrySZv^UX7Ic7Yv|*j8wz(M;6GNb1GE
-`~`l&-@c!fL6+Vt-Ye1L_tsFy{@&;-#=$E8ED-<o2eL*#p^w1y*NaQ(mi-d0>a4R0mT*)9obxPXj&|d2k@eLc$5ZoOsWZtB>3SNIa-n^T<;xI
F8aE)4I7mt-T2s#s`IV6y<F5KIJNQ6>HoUkz6Ly%-8q$wrABCcJoU9bZ_-V*(n+8hF706D+P64vi+YAYmTpxT7s_X0lV*j1S;;*vVvxBsqeA|c
vI6%ekGP&i6sR-OZU>6(IvcXM-+#7xlFX^e&b2+d^RK6<7|&I%L?`2Z+?9#b+#kVo??*6=9F_&+j4w1kDeX?UQQXHMEr9D@Tc!9pCgzrr+zQPp
oQ~J)?8=yny&Q_eE9oJ84*)?(yi<CLe9HJ}n!1d}hHb<8HeA6L2q2sQ#nG?4e=fAYDL(;z+Ssm<_lL!~)Y~9YtfT$cfxT2%LAlEWG~rkNDz%YB
0*xuz69Oqhs}Y7%z|u|Eloh^)n#xNVXQW+9wg7oGRk!As;E6_yBaGjUH9e$em9wPfuSUO%olD98_;PbGjxWQV(0K!V_yfsjzjqH7BTb@)5*U_(
qx;mBOVqNIY|JE~issZ}Zd53R%)%kJEYrH(v2;<|xrgu7(SgI%r0EajeJouvd4~_q0e_>@xC-mJ6#FTW+-r_ghTx348z1nLk(L&ZUfR5;5INzl
GY8^0d7iX1n_S@d-}j6(Uqu>^iFKyMP%^6?V*y%)vIrEcViCkP`3jX#CeFe>ERI!utyYlOtc<fwQ!k3INOpn^q7;H^b2nj+I4`9mg^XFJT#ZP<
aMesClLAls4>=C^=h1MpW>%sh|7dW?^$TD9!Y;x{Samc`0g6}5#C-p%>otgua~DTW$N8Y%^{yXLPEaYD<Z}w=Kz?eVX?4a(4b+!?>cUuw^@;3C
hj|e<!<@jvXem3v-iaL-l%M)~vxvh{r9BaY;9U_Z{Ciunbg<4hnQj`^K>AjS9HuOdNzLqSRtCE1PrfJBMxoHuw!$JxXY={kmPMxH$+Sv-rC{p<
393I%0u-p9z1-Xl7T_RF6YY-Y=bM(bcLGS@@%~kxegiq=?+FJTg+remw#wf04Xyo*KrKmR4s}764rYmCn~*W|s#}2j;}s4go<J0%qW0p`izZ$w
!4P?3qyeK*rObRV!Qt1z`mJH8-z@XoY*JZd$)pRoGuD~8-j*3|j>^VivYI2WmVuq*|J!6sy!uSv*gl>x0m|~nI~6?bYEch{{XanapAkj+Y4?wX
tMn6^VBQDgnP&LWkaQktds#FMQP`J6gA7v#PQDZA@C$#lMTba25(vv6PqpA)xSv+R7IThtLPU(jHjWE~v3MKZ2r%_Ukc;@CXfVuv<RyT{cH%@b
o(ZxiA_|3QjnFaFu2_lvVY(_p4DOH)13G@*HiW7sbf-&~pf8MhPKbonwr2ffp;#eioB9e94StyWKg(La?Yo7JyW#0Sz61nWOM<VeAQ_nY8pEYh
miEN!M*ks<#l30sV}cm{xqce_S6J>V;*g%A^~5peSjsX}3Enc3YVA}KuFq-O|7+M0m*2XHd~_4Akd~qgd!j);B(oW<6Ql79?l8)$A{D<Igr@4R
a`#C~bzjn|Dy}UZ>DJcwVp_&$*rVYBXGQGRNvy3H4`dvD;vI;?lCxIvmS&EE!FXC?IPdj#ytG`G)}&oHwt>0q%GW6et%kD_WpnKN!DFGpN9|*V
UMGo^UZI_AvSOaZ=1OG;)n#I{1oOe&PCQ_fr!!^!EhvXAOyUbm9hcmrbVaXX;tI1FrTtys)OvgDmQIVKAnYqaIl_;Gn_S1o(1rl}69$OK5Wvz$
)T;XG^MSQnZ7(`Qkfu%98@s6Pa`hOj9M`cNyxu3GqgQ!Y7NcR#CrmZ?*lllAo~L%b{6;2;r#Vl!b~XuolS!0ji;OH#l=H0TucnsndpEJAv5#UB
v5B-ak)ICuT!4Z6+#sx$<4(qi3I@|Zcv*CA5IGVkRq;{(bioak(SC^wLHQgna+#5>@;aI--1ZNV(Lb1h2{8s#n()zRYB>wE@C5z9^@y_W=9%bd
`I3785xRjpx62gl(vZDn211%iGJn#*;UaN<dMNG#<(9gjA<IO^3VOYlU`7}Dc^k6b%=MKtEP2{-FRWa@W+ft=wEri+u7m5&w1UznqTz(|$H|9>
y!b8B!IS#N9(1jbe5urB7s9e}#r0gDa#<x|ltMrw*>+8q5CY!>4w~rL5zn!{dnAqc5x*Rbj(BitNnJXWECLHZaWOL17aIsLA^q|os7$i0_9j9G
Q4SW&UGS~rgyCNYx<877Xi}NWlHE;1fk$;UpEZE``~7RZP!QncK;@I(0C#WgQR~26BkGrpt)W2l$yMG9h^oAR5bW}>>x^YgS~x^BNh8r?_KXwY
C>s%;xbH<YrWh;am&WrXMfuoa5ih54kzD6Yy{rFy(J)v_aQ^@1t@6){f4+>F$$;VAt1M*qWy0RUq*1t7B6y<L!;{P~bwm5uX$c`gf3$1af)zOB
Z&<9)8qvQbxW$wfw0!dw?7-9lyW^XFc~AMl89#JCrv{ur_;sjFBGOTX4GWPrQ?&GM{Z}CbP_GHrgO3zn=PU7LqQbK^8z`KZt>0=rf*I%GMJ}=z
EmEZ_k%c0!a3vf9OC5lm4sZO!ub9ltFyl9iWy=hhrO0NIqf@3iay_YAM8{0jFCLB6TuukRVqHLK_Qo-X#dW_ycXRHqPt`B8|6U7lXwrftEu1Lc
e=J#k{k>~1n8?*v6sc<eADB~@O2-9k!z<z8m@(63(_E9on}#F8AMxHr{nB|wR4r&|-Y~ZNr%uR*i0GcnDx^V&Tj>d8<o;|He(_u5sUkPa;TskM
-$Y%AQn$v&@%Z4CD`%EWcBF*48f7E{!9b@HKF}p*s5(qDP?i7tdS3@$t5_`rociJ*3%6+TwBOxK@9Ny_G0o*vM55CnQZ#CK0lvaX!|ODkW3WRI
wMfD<)cUW^vJ^X=@JsUrZiB5wTjb>g@)#G(yj^w5cioHDKJZ7%xEE>(W>ZHH)@<;Tb$xlb*UWqWH6oA9e8{<+3FoDVm#*<ES)FRpW6xXKlg#c~
mNNJI0k@5MVQLi2>J}rzs=_}P`T-rmX9J3?X|`sK1{s_nhJ8v`G~ZxAoH-P`b<T7I?DqkKFM0Ee;b+$gNw`QW<5cNbyI8^7Gc0=cC9c0=uM(w;
?E?Zbp)B^LI{&5R`@z;33~a+<^}o^jKueW6H7J(!k^B2M!tcn`#)9F2PwHOLSuc!T9;hHzESyxTYeAmZ>c(G^CR$jKa)-6ml|~Y3etsd1o94uY
9m_Md^w>8Zu#mLuPBRra`$LDK3DW-Z{qE&UD`R}K`ET|gbCDB{vIx%C{?G%uiTtMaUoy!3*z&5hPs`?l*;pfi9VA^@@#t)1(0uRZpgNX>gJt(m
0a|e`)T7`fy-WtwFlhFiU^JA|dvATCo>6i@=c499<@|tMS0(`_4RP7WKhYpFrKNntQKE+sn@F!HB{b+)*~OwYu;gHq9LU4fuj1t^dI;~mc#bQ|
(pvCUzq<z-e@_EnxW!mubV~FFiEV0>16+dr|4FIq>t&q4R#(vATidRoK`rvDp$-%m3ORzLDJZ6<x<SQLx5*5f@@qum3<l-}rk<^)1Xjt?=>%b<
E{ryNlduS_VEs(*CQX}VZad46u`JX09_EKXzU#O*+`$j8ep}c?p<o)y%D$%Na+@29wJ#j7S<EujM2CC^&J7)WVVETpF!jMG3Am05=EN%u^T7Kl
^s)HR_ck1V<nZcPJ|Qju6*#o@D`*Fa$@z;_Y}P8&H{9LSMow(e<Z4?O^8$VG1KWQ*fCB{F^FPXK%e+~3$qv#Bp`^K*+2f)F(L}+f4-vWT=R%o(
CLAZhi$dAFJcQiYDf0Xz6|_W-R=+iGps%ixLkwf<C%qkRlxweXI(RC9H5=QfOem@<ezJ_G%o)jYHPhSt!RqxGz&EKD9S|VVd?iHEGxAw4l<<UM
9Sd-<#hhw+lu0|2cA&S*##1#i*t%)4ptVYL=!THzb&2qW>|q}X+G=%u*Mcj?ha*?kk4pA{SU5z)W%ho(87}r!+DQhPJl<^t1{!-Dw9SvmXA&Jt
hWrRLQ<rRIamHqzU}QFY{SQvwd-!>cPqWR06K4)c+IQI==zl+|yI~%VG7vVi<-U1#Sui*+7Os~;JESqKZ@ewIp%RBy;q_h=`W~9hUMYK8?sYv7
=s3l8UeUq{&6t(z%AYI}qv?!Bm5G9~cBEBKxNX6F6G^#^Et2T5SkUqzz0l6MYL)7RARmvffTF81;K`-JPiWyr=5sg^A-2!dtR7?{Pm|+(AIVVK
Fp6^AXiP7L7pN$>DOdMaZjWJahTV{IVe7H5AdWa!qB3cg`e!F@0@tl*sy_fRAoG}l{?+&xAL&C~v~lw-Q-wYEb&4#cr|pV644YsG144=|onWn~
1E}3g6`(x(lj(B~_8uL_IQj`?PKo-!8idm?Seb`p2w_01gtk$gm2!uhxpJ~lXfj0)vs>yNTr<D*{Fvd2`=J@wsq8XL$m7fueMIG<NhYFv=j)z!
O}H;2cN8JwKt7bPCKBHJUF4f+#dwnBnT1Gu&4XkaS(hb;hTY%v6v^DZPTf*5d(A|70N#Y}udobKX^`rrmZoxv_O-uS)jSXj8CcgZna2=}FK`Hk
V};B395}-+V>nufE)5vX7WW>O0A?Y`?9~Xm=qOFW+kLW3oDWs93mw7>_v`C$yM<O%4&C~LGv14F3LTh8P*y<JNr!&I7EhBE-(x$o`dEh1Ust%8
uhKqh%!?kXC;bkW`}{eX>^t+>J@uCS3vIgkF7raNVBo2n=^YpFZeu;~1qTietc7$P$V5UZ^TA{G>5*P>Q#=}PaB+-IW-nuMNV9hpLW-ZFhWxuD
(;nN;x*p4AjW4|Zx==$6&F?4zjjDc0?3M*l?q@1cKX3Yo{c4B3Xe5vLb)C6j(CdgV6b`Q2%G%_pd!2vZUAB}Ng1Xx}+{Tl1()?$7Ja|(*$EefL
eGcj80C?6|J4bWu0@ue)Y`VLBELf1!fBIWkWc~ek7xB!s6iPxj)tji>M9T`sXniBoRtviCl^{<}`#Y!KS*tdd&EqmHdeIbhVnQfxq21Zn#nv1c
q%zrm!hw~_UDu43Fds<kdc~EoTPFZZ!)|SiZAR9&<rv%K@IMRQtD)!Occ8v`GSN^~(TJGV`jm`csvG;Fq`Rq8Q_<Q7l}LeJwJ{YX5^zkGsz}H8
hs`=<k@>qWdM|jGUbQrWV@LWbYxy=jNd1Yv`}=)!S2!B3FI9Eq2MG`LK12ZH=Kb+UQNl6OEHOf@ia`40%yX?62y?xUx_tmCSnsmbK3?{<uEgHF
p3DB@nnlGK*P<G0xT<7Jat#y?WCZ2uO#0jFK~~MBoG+(2ZDk~NXxa^rO)}}w)R|#B5$y2gdUUnu*`M^JsOz<!{kdDSMU|W0gxmf$R+l9U>*2GP
SwuKN)Q_@%f>LcSQt+>uE#(?ZyP=8NcOZ^5>)xOCmQ5$+qktJV^>yt!2d{7SMY~M2|BdHK&&*X>j4D47B#2ka1NZL!xv(v~+f~L_j^q*~)@s;(
GfKpf9D<d&qKZKt%$v>eTUI8x7k8r5_n8}*b{9Sf58i)kR+3r^Ww>HJsJ~~}nE}pJ&~&RojG}ET6417*kD5O0yA5(r8Krmy7J|t|jvnFjbF6~p
7b0+={z^Y^ueWy?^aHL`q714k#R$sIOJ=-x(e5nL|0dKB!t4AC&j1|Yv-#pEx#zlkgM*J2Eb-g&`adhN9x4PV6!`&8oSslYg^;@w42TKVSELy&
cbA8&xgZev%QHWsuVl3I05kL5^aI`Lg))`-)^<y^Mebg=**T9i7UOrv4O4EgI(_T5G0$*|>H&3p|Ku{Dd;b^|`hYIB|54!}@c>D<Cqzan|E&K(
W!i;n&k@xBX2N9sY<?^#@uoNE!PFoo;S@@P`?kEjVdWJc`|nB|_nXJy_8!9sOuWE6b&j&q!6!~GnW7ez#dTx<?iOAEgne)-$I^A<Y+KNuF&oVM
bT_IOJzx;06EzUHSze@fWDDQqmCxtC-Ip!6D-%pKYPW4mr{;)p4PJlzVk$P=vD2fC4(jDIRcSxcr4@e_dXNTkJb=av>O|jTAke^c!fP<Ye4=I?
_m}5<?x&=jd}Z<PXQJD56^O&@(Y;n)FAQ6@Y+Keyj=9jeT}f6{PpEPC@1J%Fnm)Lc*Za(a5C|hB-7{9A_)H$E%uA%Cks~_U|2^9LBfhzqE8-2;
Yd3E-john9D;2kP+4f33Fag9~=MFP;B@NQ4OSyOB4zGb|0aJTdx`w`>@$)Tq!hsKFu9*vCH<<bJ&Njx#TxPli_i>!Jh<c(Cn3mmWCNS?&%ijMm
g_yje<luV1CWQ2Mh;7lWJusND_zD*yuk@^>%JW<dX2kcM8iRuYENx%5105|k$Nr7-wD(D>BClQRqY2(u-k@lVlPh!LXp9irpUGh<g8`pGZ2V9l
S;9p(R621ajxNM-6JMp;Y`pPQj!+w6T|Mcr08nUND4zER(e|jskH`3!iK3-l)y_sm?L1`Xm*#$I4hIeWpU!81q1{dTPhi2>=AwzcX~ao*HlWF&
&|n0)`fF*d%!JQTUS-*RVstSSSs!B$F1{_3SR4%2Mqd4=mIBn_U`Fa85>;24`w+;g=@Hpo6WKfrKC`{Uf{D92S4_j1$#(?XTaI7<+ETAG)3pE4
a6DOQWG>r?dORn8&v+;ki$SmFtV<QDbG^1j$LPLs&V^mT=jJu-SuBsliKm`~@$|4#a`>M=*Mac}Bd*VTP~r6QbtlhvzaD*PyU0?|O^6oi);7Q(
4~vk*%xKC?Kq;Haq;`#CM-@oy|Elr_6m{;Q?^Ww-k-SN>DZC|364ulBTvc)XQm2`LJRZbx?gMBhMX1p`KN;Bi-VCO!p82QYAC{(D5ivMnppf9i
vFn=nYuR|2i#bW0ENx7_Tx}iPV14iZPVt8{Cjh}wP1DJvjy=|jM!8!snX05>-;3qieIK(n_XCEZ))LA@RuxGt3Jg~0AVrQefzlu?O+>>Lf4jp2
;sU9QGWGhH3A$URfV1No{s;}M(R47*_B*BV@+T?=Oj;@}T>>Oe*A?FixMOGG`#UvH3ji9sA62n8w}}fYSeevveQ5h%CY#~@AQ09pTxO?Z&sBd|
pC2-&10JTAV7PBnhVpx2)()m|4JY`sxnFjleuo?&`sfzmK(WX*PVT1WW!*H?zDr~Br<o5uZ%@kv>9szSrk}Z2vv4pwe8<E`kKs!maZ$3Z9uT^j
wBBsmJV`Rt*8`3nO#Si%eNRC@YE$L}B7P~&wYL#%>s(|DPGv@Qy-BXttU)EQ&0b?7$}_DBL)PuS;ZU`UNv*O*=Y2BFKLDmD84&&FM0-x*k#Q1r
^fouwfm4B_lC_OCM4EufmRG?Y%UsTtoC0;b&|EZ?gyZ|Zr+++y_LlM)2)I<wH)1#yCD1;iTkh^n1;vNy6?a2FkP8R~*Br;SFui1|<96D)xGEE_
qV>NW=j5*(cVho$-rwg>tLh2Dn0#!G6kbH9xiGI3*)m0WFvN@uPfpq|Xf$Z&wT>y??)9n%rmHh}Io7o`hVOw4X$m#KCx=HH-~s=vU5ppx>kQ&Z
*Qc>U>9BtLOr#<xy;Z<7Od7_zA<?x?`wAw-(=tTzxs;C@fmmP4kW`&3Q}zJfwsIilmfzlBMvzL3@7#SzRx41?OtWq`REM#_YIvOX^b5;{+QGT=
N>Is46C@!4XQGP+uA97&7`elejTFG<{Sk(!3nP*PcYUC|b|to5=zFBm5MYHJEClx}0(!R5slYX~!`4PK@6K7iQz|`Zj%%Y8?4qY|%b>>jlSqA;
T3nyz)os*@wtYXQ6H;k9<oio>bzcp~E?vN(Whs*g*X?RQ;3;!l^fM_*F98zm22O<NU>@|N^Wpu`k<XcS%Ys?Ez)QCx+i3d}M;}xJxMB4i-De$i
iMhBAsf`AY9&-1-xNu7^UwM(3FwzuG+>L9hK;<62tNVkSC+P9|x!cTieEs>;=%H$QD6=+{Z(+n^Z^s^M-nfAfhHi69tDLYd)3<(*+)d7Kr7GK-
UmLhxwrHzUceSqg(J}#iHe%bME159f>dwwgqNz}*c#<iFX@;~i6?E=CWnSil%3YrmW^S~D@RD%s7uU^<>H=GMn%?=Oq+M?sksbR+BRO((I7Km8
R(}t!IDeQcrhK3%2LkGSz3crT-(Y|ti8FJT`-+k5(hQyDUgB7-!E2cxqOMsdrEmgT1lhVj*#^IUXxFjyS!V6Sy|Db(Gs0>6CQoZOZ@Pj)wORMo
rWy09GJ+X+?o5d?*MSLJ=KPVR-!_wZG(h~*(&b@aL|ePUyYcRLcn?iqM&eY?%0YgWn(zZhpvX`kZ9Y1~gYE|7VpP$8%UP^_!mhMbbtb6(ODT)M
c;LwsFyIW+$~;3rjMm$69%N&OSJ)REip)a~hxJ3=%7=eq|J=Tn?#F#e9Hh>;F`U;sH|l2UVgaV&Fj{?_ZK=yjeT_QZOB=KVLjg$<`i}q*ai|fe
!!)!aKv*Mb`O)yyt`YnTZ91bEi|hM@W@h&H_bbLjFWd`Wxp*<yu4&&S2o78D5S{CcSE9;vS&RldRpS;vP!sR+P78uIv5<0uLBCTEQC&zn^NKSl
bERZJ6T7dZt)=^3*Sc*3PFF-wDqKs1f^VB)C)WcZ)b4bLa_*jZDY!0hamCfv^%K}q4W~CYak-7Ue?zy8DFynXUegPCPU-|Hr^zrrlIjl^jJCZE
i_(v)Nzxkznm+jDTUz($Oh9aN@F2gqkRSyIUxQEwy`(Ke`BozgskP)k-CGE>qVQ?+3#KS~Mxp@<4NF@QKt)zo@5oIV&r}Rfk|4(SVFXzCYhDw2
U6&m~soae$5ji{+fHIn48!slEx>&;Ld)+!FY6-!yF?=0#%L~Youj)^-@U6y2SoQmOf6$#zTNsXD4zTwd83vCp>D$z0CeLe;g^6~xzVSP-EML_K
?gOor+J3r8$3(Oc&AQtfPBN+X4BH&#jYI5~D`BqqV8CSAwY%vHFWGEaS(9BP@6~jI`o8yZgBDo-Ui=;mBLT@u&|XTrsEhn&-{368t{Zqm21LdZ
js+J=ij>HVHg4D*x?s4n{J!k)SM!j!QV_`DaR##QxOjRT_rmo;!uDHXm})aJ4~Zs@&n#IJcLjONyE}yLO*mWOt*BD{a`>2=$kkVc&ULo=R#?Tu
9w)P&+aAgq9Uw2d6(D4}-O5kfO&bSOlydO0-(9;2s28ucXxs0|(tQVnBd@CrbkoCVDYV;VX1!{$y5a-#cJiTo4_&Q*N5Aap2fPi9?UpDiEM0YA
&^mt5JPI9cnV@aW0ehJJ)w|Xq7%=YFyEvp_Us4P8&kH^9hzxY01zh9hy|6j2?%4tX5K&eRc3Uo;1`o=VPv9Ti<ZlNiL40Nblk$85nSC?taDps~
$|8HC1)CP<;KH=-f&+uAHZ^8b))-~$j!Qr`9NJ;}gLqZA)%b56@t`jhPg<KR6PFx^aj0*hKwh>VI&dT#23AX)zjP{)$L=6*c^Lqvg|Z`r$7837
)+wlopbjEtgkR>-q&_6RhRD+OBiqL(Ux7ob<*@GC@UE>b^FC5#x}OcIYDsU=Te^cW<qw8JxW0B|4(<a_d!3t>JRbb@eX#J_Wd#C9hNK%G485!v
*)_dq2)5DAVG84$(;u7)j245royV^GJB^5{X$Cy?d#|kUJL$TS+wF&euv%<il@5*gCU^Ch_SQGddo8!{vltlOXC<%9>`Lj7Acv^aQR^hiZ)Ck@
FZu-Yk=e5Ul!PC1kOh-!RF(&qdA}avd=*s*vhLMht7T=*cl?BCgy&@0WCjb7m=s|8AlNJDh*s*_B*ZK@Ms={)_WIiP;jXW75Q6o|44((Nx~(FZ
i6Iuzq+q-PKOr0jgg(R)V9m3S>x5a`_`In&*4>BQA?u!5NWT#Pg7J${kJr5to32E0seaT{u<H1KKLLFRw<nX{29Ea$&3?fJNiT#3LR*s0yenxv
rd>BJ$6!#$_*BH|1l`sL#bMUW^(0LB7P)o4S{~=OP|z7X4cm+9-gj5X@EV08!!C)1rz-DUFjYAlozC<eR%Gp9iMcaUH_gVaXPwks5BNwAdui*D
OrK~zcJg){hjvQ#LFrRZ1m&+tbRSS2iVYo!2+6Z6{{Y!Cl1)Z2D6Ln*Bw?XiGQ2*6kVD0+UX!P;mr7(gnh0r?zl(w)WR1DtUMvw-*}Zw^^hfe{
)rB}m)e6HBvFcF6)m@RqWZD?zR(S99{EZ5!#cxtvuRnv8IJMG6JsCleQCEq{mAFs)j+Hn;$`@PwMv<pFcRL2|9H5D3BE>u>i^Rc<^jaNLz~)e`
jcLXgaOU4dgKnnX-GLchWX6__N3cIp&>tNJnlecO?BRtcTb&@~dcws4Z(+~3u;9dS*PsL?IY?!kl*p7+mY@!<d%#LGWTc_M$V0<&WfI0A*fKQc
M8e2A@Dh%dz*obmJP~@QvAi!WK;G*t;c6>J_LNWMT8I-eRaqBt@1@ou$u3zlF)hG@z=ew;8-rMXz#SqoEe|)3Ng#EEH$6SVN*2UsWEC-HtphJ|
g(p%jx%0xv@f#?4KfUvIPKU3mW>W#bu^c9hIrdQrKhdBjy0Jv#tae^;vtVR$SrAz1gA-2>SVR-9M^|q>{@#rRgDSM1xO|JE`vD&EN|}|?T-C)w
_H*A3Q!dR1fH{E2tK)VS)v*@59qV9UCxf|6UrrWprmR&VUZbj10fjZ(vQLFY&n`Qm51B?x9J=3g^^hG^OkKU6z4`MExu!L2pU5nGf(H2QJ5&Wv
X|2PJyubXT@SX>PR@C4&Tc4pvmxN%RxuGR+ne91rCkr=7?b`bKMNeRVRmSP@X6hj8QOUte6i=gK`zmc<m+Fe!CdO?!`A7-VUK}XK-2!<?wqZxi
Q~FJpfaK$)kfo-#dHhvON-y1w1Cr1T<uAxwe%GHwWlhnf2T2rASHtigb6}9wOK3Y%*C@r+?o8O*gg<}YN3Rt0A@<A#r)TT6yi?e|U_T_=58b@R
8;b3#Eh~ZWY{u07V4r7xyvn;n0Iw|fW~&H*Le87KMR<=ds8YSR_U&^%so74+o^ciGqwr{^r9ZQ}H1PvVfx5#TTe4#TcSykcT6d4uwag<QM0{>^
_oQ%!960}tJ7e|0$^9%ubps%eYxb&`Owcm-S_P+@uLnb&e8J^9I@Nq!Fxy1)ott@%+VN^%VQ8?lqn)AjSQ5Oha3K_xQ|UvA#{P1@$)c6zDL+DH
iAkaH8nvWNk9Bj9T&M;UqgaKog-K<~m{VMbpIs>w8F5lz%J$-wnC&6u^;3a5WRGdFt!WrNNBs&PlUQ3Q2Jz1+c)k*2HB3tKd9(+r6vQHa@s@{-
Lv|G=0FmkFIn~)U(t~;d<<>rE7UxVuhxZvETv)MNb@OM>&`1*$B)4+XFLh7Zju#3;Wo=A&dS21<azf_7ZtI!bH?#kIZLvHfX(3Nj@SO|=Gw5Ch
sq0%3VTYXiK^l(R%m-c>6n@4se<l#!Oh7P<rF+%B7Z4b~4o}sBq%G9ojz9zaBPzqz?q^lz0L%5CM}I+V;Tt)3tbuJaI|Kb;ps;R-RNac+)oZhL
e|x1;Uu>~sMY|8{qBHcp7^0RqPXOIG>agy9xy&tc^9??RtxclEQ+#^R(fIB+wSl~bg;=mUC;IC~3COl}>Ps{yLW*R9n%w(5sF0<(ItuDYTDi@L
eeGE<e7?!;`nC4CmbntA27$_=hO@V>>HI8hzOQt&5cxD1;b-{Lwc*(3HuUM8<+&*Z7F^D*oX#iF?)@fYk<8jBS?ddAb6<#hfyfh=@6w>}(>YsL
Bd!8#kIe9cu)y6)6@cRY@q-sfvJljmzkgo+qbLnk>P0<*^{^aS<C#BZ`POgXOPyY_9^WoB#$Ok6VBi%xI`HXiUZY=LTm2E6w`WX+3#V9uN>jXx
DxDsWr0vegPK{Hq!Rg&+G1M;R$YC4v7qvz*OL;riTQZxxgHRd8GDjHrYhx)?tEA>ab;QrBlF1L4FPTSrwYSjlf7erS@RWxH1m7x)ZFHss`aTV@
U`CO`f*ta#k7Q7Q*m`_0l^*0Gv^9+hKvz1bSv-H5pFue*(tTxvk|243!%2Ms&$eOs@c6M{K+Z!tf>m*weS6S^Ck5Qyt>~JaR1fSDd~i;nN#o{P
7x#9*zh*HyZ>F@m%(srA-l1`9tj;`<6>;Gpqa<tgMtF+`j;HLx)fR=wa_iN`TwXabbZ->Bi4;~h<=e0I!ei{O;rS3@PlAW|DVKkHflKiWxsiFw
{`mK#zo?9yx*oCIS5cFZeosQ8I(PKB{;|#fjO%BLVEE@#6DG27JC}E>wNtOK0)##hED#uN+?YUlPXvqD$Sx=!GeB1Bz5u_BWeyDL>PCqaY_lHt
?t(q)!k5r|K$w2+J{YnBXt>R2i`($(<^_r#3cBWfU)<{Twrgs*6U9OMvs>XH<)^D|wU_aS{I3frCG<#fvF$q(3b+AYV#OhEH--EwKR&AO@}hxY
9U#K5>HV-<9u)&!*9Wl}7Gkx#H_U<Bd&Q?O`a;>FZ6?QyY!}rJBpQ+$p{*}qdnvAze{eC^ufwWW1}Yg2&1kyL6t{t)vajz>x)}S$YPk#^o<A9x
B<rJ3cdkiDlqHWdGpl**k+IaDf=_lCYusSnn+jNVV|zR6Cb^X@NGF1uEMBEhKH6}GW+&4LcD{~Xoz01~XR_U8|8p;}!(ML6^Bxm%C>Ho6qW%}@
L)$ZB%;;;7p6MZGBo(JLU2-dn;SPHyOfY;iXQmDs$nIF>5DW{2s&8#s_=y=Xs`s>@IDkL~AdswKsnSqV?QgNI%Z&9-qOAVr?h&IqbOLgH?F4R?
>CGNVK0z`17Q~RR<5b4zG|PU!1%E(&&|z|Z4_ZE5t+YQF%7rvlCl#T_tubVfv=O5C!xTT5*+`+;Rhkp9g!4puFQ2V_FlkmTC-c6m4C%8TB$e;G
AClGYe4(Pqx@aCa1{|>VPeBN_=P4N%7TQB&_F*aB#1BeAQ#6@%J?_g!qa1nZ4ULXbI~R`|%2=XSBwMrJvrk|Z4SCUXpi-6LuypA@SYlk^#M7X#
vOa(TiWcMhTvHEtY0~s8%%l6aksEALm>HsTqNnL8dZ%+=<6%`Z)Z}k6VGacNauU+f1)RKi*@(g%KFe`vWv{M2y!$-awe05$hKS-?o`%fNWzC2E
<stUEd6{M=0CkqWn#P><hKhJAm^XKSvH|lCNwnFl6)a!*1mYcNL*MiaD6VMb;M{R`Kk4n6e078=4`JYYg@bXZ)`TEf8y6~^AS9x8+&>c9z6mH~
1x|SYX>>R@pOttSKdsU~pD_!@GlAu&pl*r=Yxh1;RRDx5z4kv>n=+@{jpk?&(G(1QUYILgAM@YVp&gvxQ>sT%0Tu%`!_q=EzBn2@yjx)~+@;Zz
^FbV|K07`CO%GwV`FkJh|FGAgG|z&e3rd?-#`S(1t7jD4dJp1QKPn>AJUtlP%&7=w?0`6hmvVhIJCKhM$!M%MD9JK{(Xu?h+ZGm*MsPc4(YrI{
#&#n$o^+|&>jaJl4}!m4xau2EHv58*P%Ibyc}2r!u#G2FBi(6RXBUd0+u}gbRQp}9rjwmFz95&kw<e2L7;qUZVMr}pV|8z`gU-{p@)?w&%2~G}
29YaOb6%)_Ya~!D&;u2v<Y|}*b6WQ{RdZ@ElLHe+<xIWEwF7mc!)V)?1H&1%!Eb#(Ob2Gnt(TPWpqjEx9KhJY#Hh<Cx8F1F<hhgJMAJC~V}=#)
{lzzMU!79#%<UtLcw2<<Z8A45^?hmHYG)|CV_5QF+*4SFN6N{JYHK8KqBSrxRq$@<?d;6F_PZccfSH6gMK)vET^-E>4eqhIGx+EGZpAL_CWoLa
Ry%Qyzg#_V1kel{t(dkmjpZRu<J~pp%9>uqUwb8*?nrzzg=vfaBZJZ;nG_JpQ~v(PK98ed|8?%8P3leEit!K@onF$7`m%bS&W)VShy+P3JvBaQ
7WEq6dvS1*1w(}7ta!5K$d1Sl=FVi1@8%39#pMH<Y1g$clTIzFWF@NZy;M%ZElmy8n4InxOB$x`J!TH^V>TC#j|OaUB^J;2LdEH!GS$!Juk~I)
o?vdFJoy?WD*$mdg*=1s53{DFnX<|p80@YDLY=9|^%}2yePso-5*E8XxRn82Q;%syclv=5UYP`{ba^IOqv56OY-UdP?HWlEJVvWj8yhwD8<W72
r>9Q;eTHO$z%tjs^{rB`o1z?(k$t|}{Jmu7PokFP>lo;(*HQVJ$4ulr3+cZ*`W*z&8k@>pXk*X@PLyj|(#$eO<<I*!y<8!U)f6|!u-Q*~#(Cp>
&oegGZ;-5vx1x)fOp>@=GNHA@s1LKwZ!OdE9anz~qE3rs+#Cn?XH%G1mV%wyG;r9zM=-N}i7S587u=+Ft7M04eZ8%Kd>wSC6#|%S(E%9t<#HrF
@Cu@(TsPJEemwN@TEFwiZoJ5P;@3eZ<<jyEb7yKicexL6KIBFIF+dlJhz|Zd`a6XgM%@cNlJ>>{b)?itu-Uc5LV^I7VK89mWk~7eN0bNB$SH`W
BTvNem^ZJ)6m)w3;D{j}0AO(p$kO-cc(AE)E=)>p3Qeev-}YYOGH!F4AnoCgq6K4SirL}19rE4%t>z0LFb9A#a_oqOX$$Foho64)!z;Z5^MH$S
5l(gdsuV40?hBAFlMugwl=y|-{YpQY(zVQlQae}o3~=(=E(Z~AXPGn${skQo5b;c<nP}fl1<>vvnH%aA_#a%<{5L-RPN`>&n0MyL^Fa+8GAe~Y
Zod>gy5sjAj5-F2I<C2v!G@-9`WUd;U(*Hv#3-5;j@w-%>Ka^aV&3qOJ!rESQ=?T<ZDr)8ud%Cx#r`;OIbLSKn~&QFMdM}(;P?qL6%;I@?~Y2e
n#vS(5<m7a3-lg1(!P_C5M_gLBZcmNofNgZ^d=}z?u&;uoHfj$(FRpt|E#xG_{}OjIw$ud=|A!V%O<YIKP1Q+CXV+<uPkRtq1n_0xVtTZQnJcm
kRe4b29OW(cb={Z5KJt!w5<~%;koTyi4^JX;)XUB{HS(<Jok&1<{qe+PTEP6k%uVq=kJKul0<DzVFC5LqqS=@UA%>)GrIaHtJ=%L<-46-GdEM#
NcV$XvtLFd$yi(5{rB`Mt$`b)*udIqq(bGy9pKd{tp9)ymLfc-btXT-H1Z>(8_%=aM3TqvU?5jGB2gOy>r!oe&GO6!5=3gg{6R#=0<N%ky;dsD
T%^Bw&do}fa63AEU;fOeKf&CmNAhZO_GlF@ckkPK+8w7^E+m=S-8df*V)0bHIxZ5NEJRyE6<My5+`lY6aaqK)RWxR}WWzByXI&LCrHrL5ytE1J
40C-i7Mh~r<N~S@Y7_Ot5myRmN^u~|MdIE)^G!B6IKR5YuUDzFk0j&nS_n3twWle4Szr;zWQAm%KjW#ro3A9~;Ew2?p;lgc!KR<y>bTY|;0L>g
R#sqpyzb<ETr;Q({Db`;a!8lexi6Y|h$R8|!&d#B;X(*;3I2fUtS0lt=c#ES1m_3vb{{7Fb06j}Kv+M~dspWTxdL%rTr2$dk(}E7^i1a1QVM^C
jly|Z8U$kD*>=1)Fm!QqfGJg;_c*{m7NgQWFX7|WJ!fjjbNG^djIS)#Q>vG{b(`t%9xL%1ulRjiuT))o-}YU5ahQzFMUM6YdE;TVT^0saryv~T
S2fl@DE|;mDTn5OeT@bDE$~z=6wMu@B@Q;*t^0UPV4i(MM2$_F3|1LX-RC3AP$priccTx6mxSj46=$VFDx$5)K=^>B;Y!@vh+u)PH-2<V6lat1
z}wkMm}N2B#(!RBSM~WCsOZUae>Fi!M?&BD++NW;3;Z)mpSfh8xIOO9Wfx1y?zPgw{zZ$X6zZ%eE+lHWn_)^H?Ow1PE;n$#cj(%7JxULNX`kV^
`RV+~hoHBc*EytiZ5B<<8k#9ei`vg}lvP+iksU0GCX}Z93YM>D!~>&54RenufdvCtU9H^Se@@1@rx@rnI3}#9^Dt(Teo~unH)1!I@J&S(Udz+r
izCoiL=h)Pn5;96r<H%Nt``YM(q#apDepW5(I%V@f4rjN0Uqkhq()gfc-T*8HWfo~q!p?-E)e`?wutPRdOYp}mfzhzZ^*Pwz%}E6({f!7o9W4X
9aEjY9n}N*0f^$F$%>m5Id-a|0KF0<S(BzReh~d5gTjC5gyl6Lqf(zfDKeH2cOxB8od2->-@)hPE?7Z&<c|zD;?%EBRHidxymakm`NB{bVHW#Y
gDKN~>qPTK*l!bj!YAS*EZE?QAo6G6@eM<FJW#U5?8G09N1D+vHi&~B)p%&mRwA$rwK0n<Z~n*rxDC~xvy6vdPMEpfCmF~H2j`=ns+@im#^L|-
=WS-BM_s7zKRuIHpO)i#ie3DM#6*Xre^04RRmx+xySA=*eOb%o_!xhM3-4I=n1MV{rY~gXO)&SEjNK4TyE4s%V7adYkCWYuLR8|o)nDoJ{J0J*
78=c>tjtLKW1FeupB~**D0`uC7C-c;l9OzxA6kTIRF=G6z1o%y^YmNoD^pupx>bb-CGyp|ZF}a3qznW^o4fdl6zf9tmXE3lU3EcamMyNkS=aWk
Yhx(dK1P6!__*eeaNf`tA_lE2qB*2opA;^W>a^45nZ*w?uUI=hZ<Js4NAWeq70^wcc=o9sQK2APz_A=Wtr5xr1&l1u74ydZ=%#~5(2O7x%6s<1
0aUAm%zdM+T2ckZXHwT@1`X9>mHcsvW<xX9i?OTIe^RdojvjwM<!9#ly&AC>!U;Fx^go*0VE@5X+nH#vE^Ih@?m<9G<qG%LK%r468&7?2bK<Yp
I8H&}y0;nwYmmxArL8%&utY{ksx$8YSore$VVluj2C8c&@$(!YpSLf@hc)<XefaMwuGcj_>HaFL*K`!&@1iS7Hl=>Fvgn`tv>&qXK7H}@Eh(}e
JLl`SJZC*<APlr<@hkN)35^Kfb-obwOD2N(ew5>^z$%UN#?zP%F<(>~qQ+Z1w|-dzy7xLFN9*9r7r8hv*6{|iB$oRk8qADIz&y)t@AzevY3F+K
oXB^!V|@Gu{`Kb$7z1MlvLAZ7AQr}N6xE1c6YgAI27%Tu<3V13SExgy%w^VgDWD`6J;(vgC>V6lZsXUp+MUh>n<@2)P|^p~d*A%A=n)hz4@6X_
$I^Ggo7RwQSIGf`0%0E<Ht8e{Nk`qT0@W4oS%zTBL({Bt-8@$ZCcaKQn<+A>UNlx&UUt#Y#-g2!8x{NP-jCSXvd*Uc@S@63jP$GNx>*D5XQqnt
$7^g&T`-rvEerjK0cSeLy0Qiz3?$cs*I_Y&BAEERR?a!)Q7`Iwfa_MM_rzR>$N41y#8vs{V1Rh9sFGZ7ECXw!UBw0eqX8&9BaPKRjs9w$2>Wep
Pi7Ce3LE4xLQooU3Q*edoN#8@<kt^8`~hoOiH2Hr`<_8CZ4QeuD^}_k9Ud3?Zj+RFScoVUn2Gahdm^D1mpZ-|&<2j4r_!i<(jPMpK7%mzrjc}<
%vmjQXGRSTMiLU`tK57NewktM#6&4vN$HLUfWF>(7B|dit19R|_UjkQwYxE{NprIGnf2!o_RUrV>})*ciHH=u-UK6FmeJ}>bro@Q>35#9FGiUg
<x(C?(Bm4ewozl-EjwXfT$+BhyZvmvE51bJuI<UR|Ku%A|7A+OgQT!auhlR{*v|k2);fE_-G~)a5NdK1ll$6NN3VzI{NMH;BUVw7)U3z(YF8&N
*xxl$9G%`#@L66V!D4=9b!2gQz>|KWSK6Db!cb}QE(^h)fzriFf(-RmLR?WHo9SG!jpH@hXzPTdn6i>Q!Z~p6`{U!CAylxDH%FYb!B*hf%mr*{
N6!}d#_p?!sQeGSd6wt-X07`*)2*-*6CbJ~WRiIg0)iWT(NEn18f>sZRL}fO{G>}ZT__AkGK$@98vG3>U(Nk~{5{>#p6$le5}z*CiNbim6{ye3
AN?dg*(I4ndVD&MI22YG&0Hu>pz{;nD=<82{Hlaltq=BTp@&<YD88=28Yvk1+7BZ^Rfdw=YSyuWlt`$ie|5G|3*1B&0PY>=U5VaVelr{$gg}qm
^g$-Bd(M#tO4hwA6563<umL8tT%JijpX2Bl4KId@Bz0>O;j8!*?MN(|SbBM3ZKzFhhBG`m*;OoU-2_xNcfg2c8I$gK)S`gkoO%}y9YNuB0LfyL
_PN~w4t_#*IU<qupvQe}NmpVZw@>oEXa)CNZ%tTj2tjiRDE`G%-L_ixOu_K)_P!QPQw<YVZ(1*Uw8j{0+u%bd=F<Jb|Kij2fcOp|o}$Ha*sn|8
n+padUmy*7-Q4PCdVfb}U!IEDWah`{1<Z=e`!#6UU)gxZdFB8|_=H1NABwO+q47Q3tv67i#kTazI_2e&#EO-OR_{o~cwkrSpP1-UvEYXiXdU}h
P$u@dfx+ckM{#YG>!N$)R`<fY2`sED5f{UR0js(ad0a3tfB!E$NDlN*#bENDmbNe(ESs{{T~0EJ2n+LtxSyQn6j5>9s<bUy7-IalS~}$)`cR}H
(1FE~0BvT+!zdJ?0OQ;b5sgL*?5zoj7t=8?_?`6|G{W)&=1-Ei!G#uudOs%!Os%@y8aUI!p#5QLx|{ZQSHbj2ZL?10j<gPUI9d4c_TB3F74Q%R
YuEYWZoy%feye0xK7Y~P>C)EZTAZnbbtrHXRL?p=;%GSc<9v=ewGoYOEnM};b8sIhYPd!lEAO@GDq)1zh^z6d?2~E%s{ss<^sZCt0}NQ`pY0dN
MIra2oKA-`Eq4)ama5v3BCIlR=+EWhMg<gyH01OcuXVCvrB|5tMDQK>=!9|xF*KDsT(gIkQ<Bwwn0lZ@Yr>tm6-Hid7k?A&(Yz&xcKrGGpY>?E
DMRs)tpo2bHT5@@*^uW_INY;B;jA#z{x^Ecw{l=PeX2$0Oj2a&-F4Yy!h!+GTi4rJUhI8Gl-*v_)`4*7DP4>Rm3}C8U{=U^j_#^93SkVtsya*E
>jU8vj@m1CcMdX$;<$7OOa1+4<q>H|+a!+I`OmKO!kF%9Hxt~A^956Lpzd}z?tczFztWK!t^rvF?&jc0pX>g;Js?&o2Z*GD%9I>Trk)0#X`s2a
A>P@>N@cu5Grn`F(>5$j@4Nc;d13#VKp%&3ZGVh)+OPS9C@UJ)(@^{%O*Y@0>KWG|1WiL!3`LBZyOn!p*lHKcJxkOKgWJnPip%S$+?lzYO#uV(
q(a>rPV?O-)BM;%*8P37WV}wA*&uvaZ>nRDRIIQsF!9;2G>oKdAX%{ag62P~P<k{u3@=kw-N&zot|k5UoOu22zW@B0SsJO^xj)xAzT$N>1F8P-
M|LmWBj6%ARd?~-we7P>_932}Em^%eHo#W@MyjruMQBZ|jx0#Ys_y%`KG9R`Q5R#HsZOKep7&@tq8>z&IoY(S(vQ~PjK<3R6{DpZUxD7iQ6*mp
*vc<z*5~-+0W|Ybr@Nnr2g_bx=Ey}cQ0NBRKk-#q?sb6$5UgY|C*}ZWmB`jtFgHDjQa0NW8X*kQ&Az#A7*s|~I;#Ex)QO+>)K3loc_@2*$;4UO
NSKRom?xbh*EYGjCuWZ=k0ngnh1e`ZTc4trK?X#j@>cKfSir2LmsNA+IK+b;Rw0n+69bB{7nTn1ulYkCxc+cC_VFL#a_5=nJG^qUuO^q{{qh^I
*+?rO1uQ4?W6|^q)Uk{xZ8{cIzRFWA=x|hpB29Uk9vuq|_W}^W3#XqLF(I6K4fyUi(!E}?gNMD-Ku#C#NJGr$u}L0|-V_*?Ja+<m<1=GCbrKPq
bH~Q`P5P~71zLdzhUX;1s1QaCL^1#t6^#!UC)_P@hNUAF!WP)y?SWpN`P`>c_3^lsA^iaVd~1aP@4(LS5MP(cqP6?FcOk2d=>D$(7+i=;#Lz#=
ddOB6qM|+V$v=u%jp4mfc(&`*W^$h6vc0IB(`|?%3Pwy1j`w{rCD<c+I5pj^s(QdTysiB<vBB>zed~VDH_{U>a5pvi$&X(631+5DNwHH|H96o|
4*`{GAWKwV99>Oi)?zH7`||?lckQjUQDX3;O#YL`v^rPSHe-Qio|nOa9Ya^^xyXMvwz2(r(TmdV1(%e&sWaDU#%#dCK+g61HkICX5I+zLD)-)V
_1NZ*{=*_Y&d}BF6HZX)s8H5{2DUpF^o@y@o!xAxE@ap{hGROjJ-w_o#nDq$QLEHQMpzlc#aqxcXQ=@{uMjV=3ut%!(DsGeEppWCDGa?Qpv=kw
4_Bk4sr^CmXZ}W)S-5b5Kr?CuVX~?lIgDo^d}6k~K!Z_bt8i*X&R8{NJEq+=<4BW3JY2?^lGYcpKuj=U<Y=Sz>u@~r4EH){xSgLH!<Q<7fVa+%
RBl!yy}gaC-Ok91_R9Rt9;%_cao!lL;vjxxh~~wInu(#YZ@4Hb*%eCnX51fv>MUynz}=lj@?liS1v}ypVeJ^l1ctKD^X%c=`d}B{$f&bwDg>+B
^v_;U_op?@@~!?=lU?MQ5Km&{+>x(6G&5Hi;n<)`DPvwbtZiZOB9Sxt<?W#w9I?2WJR@bvSN$B(kWu-tg7<6f+K`GR+=4UDP+&UZ-(R~bQ(5ww
P(~(Gg|R-&h@$wILrc<oAC8LY%_EllaecNyr*!+}D;Zx`q8xcg&aN}lu%88>&qTn%5kRus2H`1Kyfd7dBG@~5)tgOMV=T8G&ob%I+j*Rc$N95<
zFnfAc?kA7W*^0zU5n8i<=+%?xZGWh^ET%f{|~RTi|>0*SUK+pAQC+(2YtbSO8}<bM}U|R%$T!u#;x5y)1<sF8iXU?{+JV|7c;4ALlZ?4hVPgo
N8aS>SRmv#UH5(`e24<87_xo8<Y|^=>&798;R3O<uvkrfOQWG^p3V#R(Wz(NE-X5b4B|i1EO~Q@K%Un_HW6|>JsEWtg?&UO`Sc42!}H3icB5rP
2X)>HcR$W<<K5D*hxY8H4voOTTi<G6w(;}Rd`ll^NCkr1%!xhyaKIUfslPFCGx-;T;<AkET?&zy1_{eWeM#*-m|^?p&F}d%bur!*hac*r2odrA
;=}Ut>Q}7@_BJW>W}9BTL!hAi#eIsak21s4bO=y??uF|RQXRh~xD6rb6i<#cwTkv9joa>8JOlI7+-D@L|B^r3mmYJBdtOt3M$tuRF7p}!ksx+2
;?B%J{8H;g=NxE}+>KzsqR&G3(8`c>)lxXg9zOskz2jUn#G2qOA4VCiD!I=*gbbv0=2K=Y;$}LitYYxNqpOa3d)OBsz%lnbe7<f+@xidwx0dIx
A0mhBY9$!e1OWL><Dh>ipPG6^YskT^&{_HMil|l}glP;~-Hnm0jnIe=)_%XP3U|}>T1{zT8jK32({QaEC)cUpFt{Tq(K|8Y*1bpNQnvX(TO{?|
kU<v}#*TGsi_&>7xD<@MHIae=!*A&i;_R<+pk<VF7NAeF`hYEu-XALVM=n!)qRx%|BLBl^=IaE<w>L<8E0U#G8&59t99mb<t1VtqfDV}}d3*)^
=pmkoT0rky^%uK+`(mbY<3)9=zJp!VAfUwr<+GoB3-<#hj5s$s+&AM!sEzuBJurWYPf`+w)_WKO(i6&&CL*Dn_(An~k4g*{f&qt20WcW_*<28&
Y7z@w5aCIB>FpaY5h9;wiRzh`z^#v+M%@*_qTip$QIfX^7{GsXt<C|a9&G{xsDn$Faz6h9b_%jJ
"""

if __name__ == "__main__":
    main()
